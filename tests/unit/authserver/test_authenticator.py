"""Which credentials prove which client."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import bcrypt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from extauthz.authserver.authenticator import Authenticator, same_name
from extauthz.authserver.client_auth import (
    Presented,
    PresentedAssertion,
    PresentedCertificate,
    SecretVerifier,
    hash_secret,
)
from extauthz.authserver.errors import OAuthError
from extauthz.authserver.store.base import AuthMethod, ClientRecord
from extauthz.authserver.store.sqlite import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from extauthz.authserver.client_auth import Credentials
    from extauthz.authserver.store.base import Store

ISSUER = "https://as.example.com"
NOW = 1_700_000_000
KEY = ec.generate_private_key(ec.SECP256R1())
HASH, OLD_HASH = hash_secret("new", rounds=4), hash_secret("old", rounds=4)
ROTATING = ClientRecord(client_id="rotating", secret_hash=HASH, old_secret_hash=OLD_HASH, old_secret_until=NOW + 60)
SIGNER = ClientRecord(
    client_id="signer",
    auth_method=AuthMethod.PRIVATE_KEY_JWT,
    keys=json.dumps({"keys": [ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)]}),
)
HOLDER = ClientRecord(client_id="holder", auth_method=AuthMethod.TLS, certificate_subject="CN=rs 1,O=Example")
PUBLIC = ClientRecord(client_id="public", auth_method=AuthMethod.NONE)
GONE = ClientRecord(client_id="gone", secret_hash=HASH, disabled_at=NOW)
CLIENTS = (ROTATING, SIGNER, HOLDER, PUBLIC, GONE)


def secret(client_id: str, text: str) -> tuple[Presented, ...]:
    return (Presented(client_id=client_id, secret=text),)


def assertion(client_id: str, jti: str = "j1") -> PresentedAssertion:
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "exp": NOW + 60, "jti": jti}
    return PresentedAssertion(client_id=client_id, assertion=jwt.encode(claims, KEY, "ES256"))


def certificate(client_id: str, subject: str = "CN=rs 1,O=Example") -> PresentedCertificate:
    return PresentedCertificate(client_id=client_id, subject=subject)


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def memory() -> AsyncIterator[Store]:
    store = MemoryStore()
    for client in CLIENTS:
        await store.add_client(client)
    yield store
    await store.close()


@pytest.fixture
def authenticator(memory: Store, clock: Clock) -> Authenticator:
    return Authenticator(memory, ISSUER, clock, verifier=SecretVerifier(rounds=4))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What bcrypt was asked."""
    asked: list[bytes] = []
    check = bcrypt.checkpw

    def counting(plain: bytes, hashed: bytes) -> bool:
        asked.append(hashed)
        return check(plain, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return asked


@pytest.mark.parametrize(
    ("credentials", "client"),
    [
        pytest.param(secret("rotating", "new"), ROTATING, id="the secret"),
        pytest.param(secret("rotating", "old"), ROTATING, id="the secret before, in its time"),
        pytest.param(assertion("signer"), SIGNER, id="an assertion"),
        pytest.param(certificate("holder"), HOLDER, id="a certificate"),
    ],
)
async def test_each_method_proves_the_client_registered_for_it(
    authenticator: Authenticator, credentials: Credentials, client: ClientRecord
) -> None:
    """The client with these credentials is the caller."""
    assert await authenticator.authenticate(credentials) == client


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(secret("rotating", "new"), id="the secret"),
        pytest.param(secret("rotating", "old"), id="the secret before, in its time"),
        pytest.param(secret("rotating", "a b") + secret("rotating", "new"), id="the second reading"),
        pytest.param(secret("svc 1", "old") + secret("rotating", "old"), id="the second id"),
    ],
)
async def test_what_proved_right_lately_costs_nothing(
    authenticator: Authenticator, counted: list[bytes], credentials: Credentials
) -> None:
    """Neither a rotation nor a `+` in a secret, which has two readings, brings bcrypt into every request."""
    assert await authenticator.authenticate(credentials) == ROTATING
    counted.clear()
    assert await authenticator.authenticate(credentials) == ROTATING
    assert counted == []


async def test_what_is_presented_together_does_not_tell_who_exists(
    authenticator: Authenticator, counted: list[bytes]
) -> None:
    """A guess costs the same beside one for a client that does not exist, whether its own client exists or not."""
    costs = []
    for client_id in ("rotating", "unknown"):
        counted.clear()
        guesses = (authenticator.authenticate(secret(name, "wrong")) for name in (client_id, "nobody"))
        refused = await asyncio.gather(*guesses, return_exceptions=True)
        assert all(isinstance(each, OAuthError) for each in refused)
        costs.append(len(counted))
    assert costs == [4, 4]


@pytest.mark.shows("S85")
@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(secret("rotating", "wrong"), id="a wrong secret"),
        pytest.param(secret("nobody", "new"), id="no such client"),
        pytest.param(secret("\0", "new"), id="an id that no database can look up"),
        pytest.param(secret("gone", "new"), id="a disabled client"),
        pytest.param(secret("public", ""), id="a public client"),
        pytest.param(secret("signer", ""), id="a client without a secret"),
        pytest.param(assertion("rotating"), id="an assertion of a client with a secret"),
        pytest.param(assertion("nobody"), id="an assertion of nobody"),
        pytest.param(certificate("signer"), id="a certificate of a client with keys"),
        pytest.param(certificate("holder", "CN=rs 2,O=Example"), id="another subject"),
        pytest.param(certificate("holder", "not a name"), id="no subject"),
        pytest.param(certificate("nobody"), id="a certificate of nobody"),
    ],
)
async def test_anything_else_is_refused_in_the_same_words(
    authenticator: Authenticator, credentials: Credentials
) -> None:
    """Whatever is the matter, the caller learns only that it failed."""
    with pytest.raises(OAuthError) as caught:
        await authenticator.authenticate(credentials)
    assert str(caught.value) == "invalid_client: Client authentication failed"


async def test_the_old_secret_ends(authenticator: Authenticator, clock: Clock) -> None:
    """After its time the old secret is any wrong secret, also when it had been remembered."""
    assert await authenticator.authenticate(secret("rotating", "old")) == ROTATING
    clock.now = NOW + 60
    with pytest.raises(OAuthError):
        await authenticator.authenticate(secret("rotating", "old"))
    assert await authenticator.authenticate(secret("rotating", "new")) == ROTATING


@pytest.mark.shows("S95")
async def test_an_assertion_is_good_once(store: Store, clock: Clock) -> None:
    """6.2-6: of several that come with it, on any storage, one is let in."""
    await store.add_client(SIGNER)
    authenticator = Authenticator(store, ISSUER, clock, verifier=SecretVerifier(rounds=4))
    calls = [authenticator.authenticate(assertion("signer")) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, ClientRecord) for result in results) == 1
    assert await authenticator.authenticate(assertion("signer", "j2")) == SIGNER


@pytest.mark.parametrize("client_id", ["rotating", "nobody", "signer", "public", "\0"])
async def test_a_wrong_secret_costs_the_same_for_everybody(
    authenticator: Authenticator, counted: list[bytes], client_id: str
) -> None:
    """Two checks of full work, also when the right secret is remembered: the time tells nothing about the client."""
    await authenticator.authenticate(secret("rotating", "new"))
    counted.clear()
    with pytest.raises(OAuthError):
        await authenticator.authenticate(secret(client_id, "wrong"))
    assert [hashed[:7] for hashed in counted] == [b"$2b$04$"] * 2


async def test_callers_with_one_secret_wait_for_one_check(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred calls that come before the secret is remembered cost bcrypt once, and one that leaves ends no other."""
    asked = 0

    def slow(_plain: bytes, _hashed: bytes) -> bool:
        nonlocal asked
        asked += 1
        time.sleep(0.05)  # while the others come
        return True

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    calls = [asyncio.create_task(authenticator.authenticate(secret("rotating", "new"))) for _ in range(100)]
    await asyncio.sleep(0.01)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[1:] == [ROTATING] * 99
    assert asked == 1


@pytest.mark.parametrize(
    ("registered", "presented", "expected"),
    [
        ("CN=rs,O=Example", "CN=rs,O=Example", True),
        ("CN=rs, O=Example", "CN=rs,O=Example", False),
        ("2.5.4.3=rs", "CN=rs", True),
        ("emailAddress=a@b.c,CN=rs", "1.2.840.113549.1.9.1=a@b.c,CN=rs", True),
        ("CN=rs", "CN=RS", False),
        ("CN=rs,O=Example", "O=Example,CN=rs", False),
        ("CN=rs", "CN=rs,O=Example", False),
        ("", "", False),
        ("CN=rs", "", False),
        ("no name", "no name", False),
    ],
)
def test_subjects_are_compared_as_names(registered: str, presented: str, *, expected: bool) -> None:
    """Every part and their order matter, the spelling of a type does not; what is empty or no name is nobody's."""
    assert same_name(registered, presented) is expected
