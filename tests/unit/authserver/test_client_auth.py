"""How a caller's credentials are read (RFC 6749 §2.3.1) and checked."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import TYPE_CHECKING

import bcrypt
import jwt
import pytest

from extauthz.authserver import client_auth
from extauthz.authserver.assertion import ASSERTION_TYPE
from extauthz.authserver.client_auth import (
    MAX_SECRET_BYTES,
    VERIFIED_ENTRIES,
    VERIFIED_SECONDS,
    Presented,
    PresentedAssertion,
    PresentedCertificate,
    SecretVerifier,
    hash_secret,
    read_credentials,
)
from extauthz.authserver.errors import ErrorCode, OAuthError

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "correct horse"
HASH = hash_secret(SECRET, rounds=4)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountedBcrypt:
    """Stands before ``bcrypt.checkpw`` and remembers each check and its thread."""

    def __init__(self, check: Callable[[bytes, bytes], bool]) -> None:
        self._check = check
        self.hashes: list[bytes] = []
        self.threads: list[int] = []

    def __call__(self, plain: bytes, hashed: bytes) -> bool:
        self.hashes.append(hashed)
        self.threads.append(threading.get_ident())
        return self._check(plain, hashed)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> SecretVerifier:
    return SecretVerifier(monotonic=clock, rounds=4)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CountedBcrypt:
    counted = CountedBcrypt(bcrypt.checkpw)
    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return counted


def basic(pair: str | bytes) -> str:
    raw = pair.encode() if isinstance(pair, str) else pair
    return "Basic " + base64.b64encode(raw).decode()


def presented(*pairs: tuple[str, str]) -> tuple[Presented, ...]:
    return tuple(Presented(client_id=client_id, secret=secret) for client_id, secret in pairs)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(
            "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", presented(("s6BhdRkqt3", "gX1fBat3bV")), id="6.1-1 RFC 6749 example"
        ),
        pytest.param(
            "Basic cnMlM0ExJTIwJTI1eDpwJTQwc3MlM0F3JTJCcmQlMkYlMjUlMjYlM0QlMjBl",
            presented(("rs:1 %x", "p@ss:w+rd/%&= e"), ("rs%3A1%20%25x", "p%40ss%3Aw%2Brd%2F%25%26%3D%20e")),
            id="6.1-2 reserved characters",
        ),
        pytest.param(
            "Basic Y2wlQzMlQUZlbnQ6cyVDMyVBOWNyZXQlQzIlQTMlRTIlODIlQUM=",
            presented(("clïent", "sécret£€"), ("cl%C3%AFent", "s%C3%A9cret%C2%A3%E2%82%AC")),
            id="6.1-3 beyond ASCII",
        ),
        pytest.param(
            "Basic cnM6cnM6TWt1LTZnX2xDektJZHo0ZnNON2tZY3lhK1Rp",
            presented(("rs", "rs:Mku-6g_lCzKIdz4fsN7kYcya Ti"), ("rs", "rs:Mku-6g_lCzKIdz4fsN7kYcya+Ti")),
            id="6.1-4 first colon, raw plus",
        ),
        pytest.param(
            basic("a:+%25%26%2B%C2%A3%E2%82%AC"),
            presented(("a", " %&+£€"), ("a", "+%25%26%2B%C2%A3%E2%82%AC")),
            id="6.1-7 RFC 6749 appendix B",
        ),
        pytest.param(basic("a:100%"), presented(("a", "100%")), id="a percent sign alone is itself"),
        pytest.param(basic("a:%FF"), presented(("a", "%FF")), id="escapes that are not UTF-8 are read raw only"),
        pytest.param("bAsIc   YTpi", presented(("a", "b")), id="scheme in any case, several spaces"),
        pytest.param(basic("a:"), presented(("a", "")), id="an empty secret is a secret, though nobody's"),
    ],
)
def test_basic_is_read_decoded_and_raw(header: str, expected: tuple[Presented, ...]) -> None:
    """Id and secret part at the first colon, and the form-decoded reading comes before the raw one."""
    assert read_credentials([header], {}) == expected


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Basic YTpiYw", id="6.1-5 no padding"),
        pytest.param("Basic YTpi\n", id="6.1-5 newline"),
        pytest.param(basic(b"a:\xff"), id="6.1-5 not UTF-8"),
        pytest.param("Basic YTpi*", id="6.1-5 not base64"),
        pytest.param("Basic é", id="6.1-5 not ASCII"),
        pytest.param(basic("a"), id="6.1-6 no colon"),
        pytest.param("Basic", id="nothing after the scheme"),
        pytest.param("", id="an empty header"),
        pytest.param("Bearer abc", id="another scheme"),
    ],
)
def test_unreadable_header_is_invalid_client(header: str) -> None:
    """What cannot be read as Basic credentials is a client that is not authenticated, never a crash."""
    with pytest.raises(OAuthError) as caught:
        read_credentials([header], {})
    assert caught.value.code is ErrorCode.INVALID_CLIENT


def test_post_body_is_read_as_it_is() -> None:
    """The form is decoded already, so its credentials have one reading."""
    form = {"client_id": "a", "client_secret": "b+%20"}
    assert read_credentials([], form) == presented(("a", "b+%20"))


@pytest.mark.parametrize(
    ("authorization", "form", "code"),
    [
        pytest.param([], {}, ErrorCode.INVALID_CLIENT, id="4.3-1 nothing"),
        pytest.param(
            [basic("a:b")],
            {"client_id": "a", "client_secret": "b"},
            ErrorCode.INVALID_REQUEST,
            id="4.3-4 Basic and body",
        ),
        pytest.param(
            ["Basic ?"], {"client_secret": "b"}, ErrorCode.INVALID_REQUEST, id="4.3-4 unreadable Basic and body"
        ),
        pytest.param([basic("a:b")], {"client_id": "c"}, ErrorCode.INVALID_REQUEST, id="4.3-5 two ids"),
        pytest.param([], {"client_id": "pub"}, ErrorCode.INVALID_CLIENT, id="4.3-7 public client"),
        pytest.param([], {"client_secret": "b"}, ErrorCode.INVALID_CLIENT, id="a secret without id"),
        pytest.param([basic("a:b"), basic("a:b")], {}, ErrorCode.INVALID_REQUEST, id="two Authorization lines"),
    ],
)
def test_not_one_method_is_refused(authorization: list[str], form: dict[str, str], code: ErrorCode) -> None:
    """Exactly one method authenticates a client; more is a bad request, less is no authentication."""
    with pytest.raises(OAuthError) as caught:
        read_credentials(authorization, form)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("body_id", "expected"),
    [
        pytest.param("a b", presented(("a b", "s")), id="4.3-6 the decoded id"),
        pytest.param("a%20b", presented(("a%20b", "s")), id="4.3-6 the raw id"),
    ],
)
def test_body_may_repeat_the_id(body_id: str, expected: tuple[Presented, ...]) -> None:
    """A client id in the body that repeats the Basic id is accepted and settles which reading is meant."""
    assert read_credentials([basic("a%20b:s")], {"client_id": body_id}) == expected


ASSERTED = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": jwt.encode({"sub": "rs"}, "k" * 32)}


@pytest.mark.parametrize("more", [{}, {"client_id": "rs"}])
def test_an_assertion_is_read_with_the_client_it_names(more: dict[str, str]) -> None:
    """The subject is the client, and the form may repeat it; the assertion itself does not print."""
    found = read_credentials([], ASSERTED | more)
    assert found == PresentedAssertion(client_id="rs", assertion=ASSERTED["client_assertion"])
    assert ASSERTED["client_assertion"] not in repr(found)


@pytest.mark.shows("S85", "S95")
@pytest.mark.parametrize(
    ("authorization", "form", "code"),
    [
        pytest.param([basic("a:b")], ASSERTED, ErrorCode.INVALID_REQUEST, id="6.2-9 an assertion and Basic"),
        pytest.param([], ASSERTED | {"client_secret": "x"}, ErrorCode.INVALID_REQUEST, id="an assertion and a secret"),
        pytest.param([], ASSERTED | {"client_id": "a"}, ErrorCode.INVALID_REQUEST, id="6.2-5 another client id"),
        pytest.param([], {"client_assertion": "x"}, ErrorCode.INVALID_REQUEST, id="without its type"),
        pytest.param([], {"client_assertion_type": ASSERTION_TYPE}, ErrorCode.INVALID_REQUEST, id="only its type"),
        pytest.param([], ASSERTED | {"client_assertion": "x"}, ErrorCode.INVALID_CLIENT, id="no JWT"),
        pytest.param([], ASSERTED | {"client_assertion_type": "saml"}, ErrorCode.INVALID_CLIENT, id="another type"),
    ],
)
def test_an_assertion_stands_alone(authorization: list[str], form: dict[str, str], code: ErrorCode) -> None:
    """Beside another method it is a bad request; one that cannot be read authenticates nobody."""
    with pytest.raises(OAuthError) as caught:
        read_credentials(authorization, form)
    assert caught.value.code is code


def test_a_certificate_counts_where_nothing_else_is_presented() -> None:
    """The client id names whose certificate it should be; beside a secret the certificate is the connection's affair."""
    subject = "CN=rs"
    found = read_credentials([], {"client_id": "rs"}, certificate_subject=subject)
    assert found == PresentedCertificate(client_id="rs", subject=subject)
    form = {"client_id": "a", "client_secret": "b"}
    assert read_credentials([], form, certificate_subject=subject) == presented(("a", "b"))
    for missing in ({}, {"client_secret": "b"}):
        with pytest.raises(OAuthError):
            read_credentials([], missing, certificate_subject=subject)


def test_presented_secret_does_not_print() -> None:
    """The repr of presented credentials has no secret in it."""
    assert SECRET not in repr(Presented(client_id="a", secret=SECRET))


@pytest.mark.parametrize("secret", ["", "x" * (MAX_SECRET_BYTES + 1), "é" * 37])
def test_secret_that_bcrypt_cannot_hold_is_refused(secret: str) -> None:
    """No secret is registered that bcrypt would cut off or that is empty."""
    with pytest.raises(ValueError, match="1 to 72 bytes"):
        hash_secret(secret, rounds=4)


@pytest.mark.parametrize(
    ("secret", "secret_hash", "expected"),
    [
        pytest.param(SECRET, HASH, True, id="right"),
        pytest.param("wrong", HASH, False, id="wrong"),
        pytest.param("", HASH, False, id="empty"),
        pytest.param(SECRET + "\0", HASH, False, id="NUL does not end a secret"),
        pytest.param("x" * 100, HASH, False, id="longer than bcrypt reads"),
        pytest.param("x" * 72 + "y", hash_secret("x" * 72, rounds=4), False, id="right up to where bcrypt reads"),
        pytest.param(SECRET, None, False, id="no such client"),
    ],
)
async def test_only_the_right_secret_matches(
    verifier: SecretVerifier, secret: str, secret_hash: str | None, *, expected: bool
) -> None:
    """A secret matches its own hash and nothing else does."""
    assert await verifier.matches(secret, secret_hash) is expected


async def test_unknown_client_costs_one_check_of_full_work(counted: CountedBcrypt) -> None:
    """For a client that does not exist bcrypt runs with the rounds of a real one."""
    await SecretVerifier(rounds=5).matches(SECRET, None)
    assert [hashed[:7] for hashed in counted.hashes] == [b"$2b$05$"]


async def test_bcrypt_runs_off_the_event_loop(verifier: SecretVerifier, counted: CountedBcrypt) -> None:
    """No bcrypt check, real or dummy, runs in the thread of the event loop."""
    await verifier.matches(SECRET, HASH)
    await verifier.matches(SECRET, None)
    assert len(counted.threads) == 2
    assert threading.get_ident() not in counted.threads


async def test_verified_secret_is_remembered_for_a_while(
    verifier: SecretVerifier, counted: CountedBcrypt, clock: Clock
) -> None:
    """A secret that passed costs bcrypt again only when its time is over."""
    assert await verifier.matches(SECRET, HASH)
    clock.now += VERIFIED_SECONDS - 1
    assert await verifier.matches(SECRET, HASH)
    assert len(counted.hashes) == 1
    clock.now += 1
    assert await verifier.matches(SECRET, HASH)
    assert len(counted.hashes) == 2


async def test_wrong_secret_is_never_remembered(verifier: SecretVerifier, counted: CountedBcrypt) -> None:
    """Each wrong attempt costs the full work, even after a right one."""
    await verifier.matches(SECRET, HASH)
    assert not await verifier.matches("wrong", HASH)
    assert not await verifier.matches("wrong", HASH)
    assert len(counted.hashes) == 3


async def test_changed_secret_ends_the_memory_of_the_old_one(verifier: SecretVerifier) -> None:
    """Once a client has another hash, its old secret does not pass from memory."""
    assert await verifier.matches(SECRET, HASH)
    assert not await verifier.matches(SECRET, hash_secret("another", rounds=4))


async def test_a_check_is_shared_for_the_same_place_alone(verifier: SecretVerifier, counted: CountedBcrypt) -> None:
    """Who asks the same of the same client waits for one check; of others each pays its own, real or not."""
    places = ("now a", "now a", "old a", "now b")
    await asyncio.gather(*(verifier.matches(SECRET, None, place=place) for place in places))
    assert len(counted.hashes) == 3


async def test_memory_is_bounded_and_holds_no_secret(verifier: SecretVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory keeps at most its number of entries, the newest ones, and none contains a secret."""
    monkeypatch.setattr(bcrypt, "checkpw", lambda _plain, _hashed: True)
    monkeypatch.setattr(client_auth, "VERIFIED_ENTRIES", 3)
    assert VERIFIED_ENTRIES > 3
    for number in range(5):
        await verifier.matches(f"secret-{number}", HASH)
    kept = list(verifier._verified_until)  # noqa: SLF001 - what is kept is the point
    assert len(kept) == 3
    assert not any(b"secret-" in digest for digest in kept)
