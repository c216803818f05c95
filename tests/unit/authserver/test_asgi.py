"""The authorization server as its callers see it over HTTP."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from extauthz.authserver.admin import issue_token
from extauthz.authserver.asgi import Application, create_app
from extauthz.authserver.client_auth import SecretVerifier, hash_secret
from extauthz.authserver.endpoints import MAX_BODY_BYTES
from extauthz.authserver.service import Service
from extauthz.authserver.signing import SigningKey, SigningKeys
from extauthz.authserver.store.base import AuthMethod, ClientRecord, StoreError, TokenKind, TokenRecord
from extauthz.authserver.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ISSUER = "https://as.example.com"
API = "https://api.example.com"
NOW = 1_700_000_000
FORM = "application/x-www-form-urlencoded"
SECRET = "s3cret"
HASH = hash_secret(SECRET, rounds=4)
ODD_ID, ODD_SECRET = "rs:1 %x", "p@ss:w+rd/%&= e"
RFC9449_SECRET = "rs:Mku-6g_lCzKIdz4fsN7kYcya+Ti"

CLIENTS = (
    ClientRecord(
        client_id="app",
        secret_hash=HASH,
        audiences=(API,),
        scopes=("orders:read", "orders:write"),
        grants=("client_credentials", "refresh_token"),
    ),
    ClientRecord(client_id="stranger", secret_hash=HASH),
    ClientRecord(client_id="gateway", secret_hash=HASH, can_introspect=True, audiences=(API,)),
    ClientRecord(client_id="reader", secret_hash=HASH, can_introspect=True, audiences=(API,), scopes=("orders:read",)),
    ClientRecord(client_id=ODD_ID, secret_hash=hash_secret(ODD_SECRET, rounds=4), can_introspect=True),
    ClientRecord(client_id="rs", secret_hash=hash_secret(RFC9449_SECRET, rounds=4), can_introspect=True),
)
GATEWAY = ("gateway", SECRET)
APP = ("app", SECRET)
COMMON = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
}


def certificate(name: str) -> str:
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    unsigned = x509.CertificateBuilder(subject, subject, key.public_key(), 1, begin, begin + timedelta(days=1))
    return unsigned.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


CERTIFICATE, STRANGE_CERTIFICATE = certificate("rs"), certificate("stranger")


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class FragileStore(SqliteStore):
    """A store that fails with ``trouble`` once there is any."""

    trouble: Exception | None = None

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        if self.trouble is not None:
            raise self.trouble
        return await super().find_token(digest)

    async def find_client(self, client_id: str) -> ClientRecord | None:
        if isinstance(self.trouble, StoreError):
            raise self.trouble
        return await super().find_client(client_id)


@dataclass
class World:
    store: FragileStore
    clock: Clock
    app: Application
    http: httpx.AsyncClient

    async def token(self, *, not_before: int | None = None, audience: tuple[str, ...] = (API,)) -> str:
        token, _ = await issue_token(
            self.store,
            client_id="app",
            sub="u1",
            username="jdoe",
            scope=("orders:read", "orders:write"),
            audience=audience,
            ttl_seconds=300,
            now=NOW,
            not_before=not_before,
        )
        return token

    async def introspect(self, token: str, auth: tuple[str, str] = GATEWAY) -> httpx.Response:
        return await self.http.post("/oauth2/introspect", data={"token": token}, auth=auth)

    async def post(self, path: str, body: str | bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=body, headers={"content-type": FORM, **named}, auth=GATEWAY)


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def check_refusal(answer: httpx.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert COMMON.items() <= dict(answer.headers).items()
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    async with FragileStore(tmp_path / "as.db") as store:
        for client in CLIENTS:
            await store.add_client(client)
        app = create_app(Service(store, ISSUER, clock, verifier=SecretVerifier(rounds=4)))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            yield World(store=store, clock=clock, app=app, http=http)


@pytest.mark.shows("S84")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "post"])
@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"])
async def test_endpoints_take_post_only(world: World, method: str, path: str) -> None:
    """4.1-1: any other method is 405 and is told which one is allowed."""
    scope_method = httpx.Request(method, ISSUER + path + "?token=x")
    scope_method.method = method
    answer = await world.http.send(scope_method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert COMMON.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "multipart/form-data; boundary=x"])
async def test_body_must_be_a_form(world: World, path: str, content_type: str) -> None:
    """4.1-2: a body of another type is a bad request, whatever is in it."""
    check_refusal(await world.post(path, '{"token":"x"}', content_type=content_type), 400, "invalid_request")


@pytest.mark.shows("S84")
@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="4.1-3 7-4 empty body"),
        pytest.param("token_type_hint=access_token", id="4.1-3 7-4 no token"),
        pytest.param("token=", id="4.1-3 7-4 empty token"),
        pytest.param("token", id="4.1-3 7-4 token without equals sign"),
        pytest.param("token=a&token=b", id="4.1-4 repeated token"),
        pytest.param("token=a&token=a", id="4.1-4 repeated token, same value"),
        pytest.param("token=a&x=1&x=2", id="4.1-4 any repeated parameter"),
        pytest.param("token=%FF", id="not UTF-8"),
        pytest.param(b"token=\xff", id="not UTF-8, raw"),
    ],
)
async def test_token_is_named_exactly_once(world: World, path: str, body: str | bytes) -> None:
    """A request without one readable token is a bad request."""
    check_refusal(await world.post(path, body), 400, "invalid_request")


@pytest.mark.shows("S84")
@pytest.mark.parametrize("query", ["token=x", "token=", "%74oken=x", "client_secret=x"])
async def test_token_in_the_url_is_refused_and_not_logged(
    world: World, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    """4.1-5: a token or a secret in the query is a bad request even beside a good one, and is not repeated."""
    caplog.set_level(0, "extauthz")
    token = await world.token()
    answer = await world.post(f"/oauth2/introspect?{query}", f"token={token}")
    check_refusal(answer, 400, "invalid_request")
    assert not [each for each in caplog.records if each.name.startswith("extauthz")]


@pytest.mark.shows("S84")
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("&token_type_hint=bogus", id="4.1-6 unknown hint"),
        pytest.param("&token_type_hint=refresh_token", id="4.1-7 wrong hint"),
        pytest.param("&nonsense=1&scope=x", id="4.1-8 unknown parameters"),
        pytest.param("&client_id=gateway", id="4.3-6 the same client id in the body"),
    ],
)
async def test_hints_and_unknown_parameters_change_nothing(world: World, rest: str) -> None:
    """Whatever else is in the form, the token is found."""
    token = await world.token()
    answer = await world.post("/oauth2/introspect", f"token={token}{rest}")
    assert (answer.status_code, answer.json()["active"]) == (200, True)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLEncoded"]
)
async def test_content_type_may_have_parameters(world: World, content_type: str) -> None:
    """4.1-10: a form is a form with a charset too, in any case."""
    answer = await world.post("/oauth2/introspect", f"token={await world.token()}", content_type=content_type)
    assert answer.json()["active"] is True


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
async def test_body_has_a_limit(world: World, size: int, status: int) -> None:
    """4.1-9: a body of 64 KiB is read, one byte more is refused."""
    answer = await world.post("/oauth2/introspect", b"token=".ljust(size, b"x"))
    assert answer.status_code == status
    assert COMMON.items() <= dict(answer.headers).items()


async def test_oversized_body_is_not_read_to_its_end(world: World) -> None:
    """4.1-9: reading stops at the limit, however much is still to come."""
    chunks = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks
        while True:
            chunks += 1
            yield b"x" * 16_384

    answer = await world.http.post("/oauth2/introspect", content=endless(), headers={"content-type": FORM})
    assert answer.status_code == 413
    assert chunks <= MAX_BODY_BYTES // 16_384 + 2


@pytest.mark.shows("S89")
async def test_active_token_is_told_in_full(world: World) -> None:
    """4.2-1: the audience of a token is told all that is known, times as integers, nothing as null."""
    answer = await world.introspect(await world.token(not_before=NOW))
    assert answer.status_code == 200
    assert COMMON.items() <= dict(answer.headers).items()
    members = answer.json()
    assert members.pop("jti")
    assert members == {
        "active": True,
        "scope": "orders:read orders:write",
        "client_id": "app",
        "username": "jdoe",
        "token_type": "Bearer",
        "token_use": "access_token",
        "exp": NOW + 300,
        "iat": NOW,
        "nbf": NOW,
        "sub": "u1",
        "aud": [API],
        "iss": ISSUER,
    }
    assert all(type(members[name]) is int for name in ("exp", "iat", "nbf"))


@pytest.mark.shows("S90")
async def test_scope_is_narrowed_to_the_resource_server(world: World) -> None:
    """4.2-4: a resource server registered for one scope is told that one."""
    answer = await world.introspect(await world.token(), ("reader", SECRET))
    assert answer.json()["scope"] == "orders:read"


@pytest.mark.shows("S87")
async def test_every_inactive_answer_is_the_same_to_the_byte(world: World) -> None:
    """4.2-2, 4.2-3, 4.2-7, 4.3-11: why a token is inactive cannot be told from the answer."""
    revoked = await world.token()
    await world.http.post("/oauth2/revoke", data={"token": revoked}, auth=APP)
    answers = [
        await world.introspect("unknown"),
        await world.introspect("\x00é\n"),
        await world.introspect(revoked),
        await world.introspect(await world.token(audience=("other",))),
        await world.introspect(await world.token(audience=())),
        await world.introspect(await world.token(not_before=NOW + 1)),
        await world.introspect(await world.token(), ("stranger", SECRET)),
    ]
    expired = await world.token()
    world.clock.now += 301
    answers.append(await world.introspect(expired))
    seen = {(answer.status_code, answer.content, tuple(answer.headers.raw)) for answer in answers}
    assert len(seen) == 1
    assert answers[0].status_code == 200
    assert answers[0].content == b'{"active":false}'


async def test_client_may_introspect_its_own_token(world: World) -> None:
    """4.3-11: a client without the permission to introspect sees its own tokens and no others."""
    token = await world.token()
    assert (await world.introspect(token, APP)).json()["active"] is True
    assert (await world.introspect(token, ("stranger", SECRET))).json() == {"active": False}


@pytest.mark.shows("S85")
@pytest.mark.parametrize(
    ("path", "realm"),
    [
        ("/oauth2/introspect", "introspection"),
        ("/oauth2/token", "token"),
        ("/oauth2/revoke", "revocation"),
    ],
)
@pytest.mark.parametrize(
    ("authorization", "body"),
    [
        pytest.param(None, "token=x", id="4.3-1 no credentials"),
        pytest.param(basic("gateway:wrong"), "token=x", id="4.3-2 wrong secret, Basic"),
        pytest.param(None, "token=x&client_id=gateway&client_secret=wrong", id="4.3-3 wrong secret, body"),
        pytest.param(None, "token=x&client_id=gateway", id="4.3-7 client id only"),
        pytest.param(None, "token=x&client_id=gateway&client_secret=", id="4.3-7 empty secret"),
        pytest.param(basic("nobody:s3cret"), "token=x", id="no such client"),
        pytest.param(basic("gateway:"), "token=x", id="empty secret, Basic"),
        pytest.param("Basic Z2F0ZXdheTpzM2NyZXQx9", "token=x", id="6.1-5 no padding"),
        pytest.param("Basic /////w==", "token=x", id="6.1-5 not UTF-8"),
        pytest.param(basic("gateway"), "token=x", id="6.1-6 no colon"),
        pytest.param("Bearer x", "token=x", id="another scheme"),
    ],
)
async def test_caller_without_right_credentials_is_401(
    world: World, path: str, realm: str, authorization: str | None, body: str
) -> None:
    """Who is not an authenticated client is told how to become one, before anything about the token."""
    headers = {"content-type": FORM} | ({} if authorization is None else {"authorization": authorization})
    answer = await world.http.post(path, content=body, headers=headers)
    check_refusal(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"] == f'Basic realm="{realm}", charset="UTF-8"'


@pytest.mark.shows("S86")
async def test_a_token_authenticates_nobody(world: World) -> None:
    """4.3-8, 4.3-9: neither for a question about another token nor about itself."""
    good = await world.token()
    for token in (good, "other"):
        headers = {"content-type": FORM, "authorization": f"Bearer {good}"}
        answer = await world.http.post("/oauth2/introspect", content=f"token={token}", headers=headers)
        check_refusal(answer, 401, "invalid_client")


async def test_missing_credentials_are_asked_for_in_words(world: World) -> None:
    """4.3-1: the body says that client authentication is required."""
    answer = await world.http.post("/oauth2/introspect", data={"token": "x"})
    assert answer.json() == {"error": "invalid_client", "error_description": "Client authentication is required"}


@pytest.mark.shows("S85")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("token=x&client_id=gateway&client_secret=s3cret", id="4.3-4 two methods"),
        pytest.param("token=x&client_secret=s3cret", id="4.3-4 two methods, one id"),
        pytest.param("token=x&client_id=app", id="4.3-5 two ids"),
    ],
)
async def test_more_than_one_authentication_is_a_bad_request(world: World, body: str) -> None:
    """Two methods or two ids are 400 without a challenge, even if each were right."""
    answer = await world.post("/oauth2/introspect", body)
    check_refusal(answer, 400, "invalid_request")
    assert "www-authenticate" not in answer.headers


async def test_two_authorization_lines_are_a_bad_request(world: World) -> None:
    """A repeated Authorization header is more than one method."""
    headers = [("content-type", FORM), ("authorization", basic("gateway:s3cret")), ("authorization", basic("app:x"))]
    check_refusal(
        await world.http.post("/oauth2/introspect", content="token=x", headers=headers), 400, "invalid_request"
    )


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic cnMlM0ExJTIwJTI1eDpwJTQwc3MlM0F3JTJCcmQlMkYlMjUlMjYlM0QlMjBl", id="6.1-2"),
        pytest.param("Basic cnM6cnM6TWt1LTZnX2xDektJZHo0ZnNON2tZY3lhK1Rp", id="6.1-4 RFC 9449 example, raw plus"),
        pytest.param(basic("rs:rs%3AMku-6g_lCzKIdz4fsN7kYcya%2BTi"), id="6.1-4 the same, encoded"),
        pytest.param("basic  " + base64.b64encode(b"gateway:s3cret").decode(), id="scheme in lower case, two spaces"),
    ],
)
async def test_basic_is_accepted_encoded_and_raw(world: World, authorization: str) -> None:
    """A client that form-encodes its Basic pair and one that does not are both let in."""
    answer = await world.http.post("/oauth2/introspect", data={"token": "x"}, headers={"authorization": authorization})
    assert (answer.status_code, answer.json()) == (200, {"active": False})


async def test_credentials_in_the_body_are_accepted(world: World) -> None:
    """client_secret_post works like Basic, with any characters."""
    data = {"token": "x", "client_id": ODD_ID, "client_secret": ODD_SECRET}
    assert (await world.http.post("/oauth2/introspect", data=data)).json() == {"active": False}


async def test_client_credentials_give_a_token(world: World) -> None:
    """A client gets a bearer token for a part of its scopes, and the token means just that."""
    data = {"grant_type": "client_credentials", "scope": "orders:read", "audience": API, "resource": API}
    answer = await world.http.post("/oauth2/token", data=data, auth=APP)
    assert answer.status_code == 200
    assert COMMON.items() <= dict(answer.headers).items()
    members = answer.json()
    token = members.pop("access_token")
    assert members == {"token_type": "Bearer", "expires_in": 3600, "scope": "orders:read"}
    meaning = (await world.introspect(token)).json()
    assert (meaning["scope"], meaning["aud"], meaning["exp"]) == ("orders:read", [API], NOW + 3600)
    assert "sub" not in meaning
    assert "username" not in meaning


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=authorization_code&code=x", "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=admin", "invalid_scope"),
        ("grant_type=client_credentials&scope=orders:read++orders:write", "invalid_scope"),
        ("grant_type=client_credentials&audience=other", "invalid_target"),
        ("grant_type=client_credentials&resource=other", "invalid_target"),
    ],
)
async def test_token_endpoint_refuses_in_the_words_of_the_standard(world: World, body: str, error: str) -> None:
    """Each refusal has its own code of RFC 6749 §5.2 or RFC 8707 §2."""
    headers = {"content-type": FORM}
    check_refusal(await world.http.post("/oauth2/token", content=body, headers=headers, auth=APP), 400, error)


@pytest.mark.shows("S93")
@pytest.mark.parametrize(
    ("auth", "active"),
    [
        pytest.param(APP, False, id="7-1 own token"),
        pytest.param(("stranger", SECRET), True, id="7-3 another client's token"),
        pytest.param(GATEWAY, True, id="7-3 a resource server"),
    ],
)
async def test_revocation_answers_alike_and_acts_at_once(
    world: World, auth: tuple[str, str], caplog: pytest.LogCaptureFixture, *, active: bool
) -> None:
    """Every revocation is 200; the owner's is effective with it, another's is without effect and noted."""
    token = await world.token()
    answer = await world.http.post("/oauth2/revoke", data={"token": token, "token_type_hint": "x"}, auth=auth)
    unknown = await world.http.post("/oauth2/revoke", data={"token": "unknown"}, auth=auth)
    assert answer.status_code == 200
    assert (answer.content, answer.headers.raw) == (unknown.content, unknown.headers.raw)
    assert (await world.introspect(token)).json()["active"] is active
    assert ("revoke" in caplog.text) is active
    assert token not in caplog.text


async def test_unknown_or_revoked_token_may_be_revoked_again(world: World) -> None:
    """7-2: revoking what is not there, or no more, is 200."""
    token = await world.token()
    for each in ("unknown", token, token):
        assert (await world.http.post("/oauth2/revoke", data={"token": each}, auth=APP)).status_code == 200


@pytest.mark.shows("S93")
async def test_no_active_answer_follows_a_confirmed_revocation(world: World) -> None:
    """7-6: among many concurrent introspections, none that begins after the 200 says active."""
    token = await world.token()
    confirmed = asyncio.Event()

    async def watch() -> None:
        seen_after = 0
        while seen_after < 5:
            after = confirmed.is_set()
            answer = await world.introspect(token)
            assert not (after and answer.json()["active"])
            seen_after += after
            await asyncio.sleep(0)  # an introspection by itself may never wait

    async def revoke() -> None:
        assert (await world.introspect(token)).json()["active"] is True
        assert (await world.http.post("/oauth2/revoke", data={"token": token}, auth=APP)).status_code == 200
        confirmed.set()

    await asyncio.gather(*(watch() for _ in range(8)), revoke())


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"])
async def test_trouble_of_the_store_is_503_and_never_inactive(world: World, path: str) -> None:
    """A failing store is a temporary trouble that the caller may try again after."""
    world.store.trouble = StoreError("gone")
    answer = await world.http.post(path, data={"token": "x", "grant_type": "client_credentials"}, auth=GATEWAY)
    assert (answer.status_code, answer.json()) == (503, {"error": "temporarily_unavailable"})
    assert answer.headers["retry-after"] == "1"
    assert COMMON.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
async def test_fault_of_ours_is_500_and_tells_nothing(
    world: World, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An unforeseen exception is a bare server_error, and neither answer nor log repeats its message."""
    world.store.trouble = RuntimeError("canary-t0ken")
    answer = await world.http.post(path, data={"token": "canary-t0ken"}, auth=GATEWAY)
    assert (answer.status_code, answer.json()) == (500, {"error": "server_error"})
    assert COMMON.items() <= dict(answer.headers).items()
    assert "unforeseen RuntimeError" in caplog.text
    assert "canary" not in caplog.text


async def test_logs_never_hold_tokens_or_secrets(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A whole round of calls, right and wrong, leaves no token and no secret in the log."""
    caplog.set_level(0)
    token = await world.token(audience=("other",))
    for path in ("/oauth2/introspect", "/oauth2/revoke", "/oauth2/token"):
        for auth in (GATEWAY, APP, ("app", "wrong-canary"), ("stranger", SECRET)):
            await world.http.post(path, data={"token": token, "grant_type": "client_credentials"}, auth=auth)
    assert token not in caplog.text
    assert SECRET not in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.shows("S97")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_metadata_describes_the_server(world: World, method: str) -> None:
    """8.1-8: the document names the exact issuer and its endpoints, without credentials, without empty lists."""
    answer = await world.http.request(method, "/.well-known/oauth-authorization-server")
    assert answer.status_code == 200
    assert COMMON.items() <= dict(answer.headers).items()
    if method == "HEAD":
        assert answer.content == b""
        return
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    algorithms = ["ES256", "PS256", "RS256", "EdDSA"]
    assert answer.json() == {
        "issuer": ISSUER,
        "token_endpoint": ISSUER + "/oauth2/token",
        "introspection_endpoint": ISSUER + "/oauth2/introspect",
        "revocation_endpoint": ISSUER + "/oauth2/revoke",
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    }


async def test_issuer_with_a_path_is_found_by_insertion(world: World) -> None:
    """8.1-1: for an issuer below a path the document is at the inserted place, and the endpoints it names answer."""
    app = create_app(Service(world.store, ISSUER + "/t1", world.clock, verifier=SecretVerifier(rounds=4)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as http:
        inserted = (await http.get(ISSUER + "/.well-known/oauth-authorization-server/t1")).json()
        plain = (await http.get(ISSUER + "/.well-known/oauth-authorization-server")).json()
        answer = await http.post(inserted["introspection_endpoint"], data={"token": "x"}, auth=GATEWAY)
    assert inserted == plain
    assert inserted["issuer"] == ISSUER + "/t1"
    assert inserted["introspection_endpoint"] == ISSUER + "/t1/oauth2/introspect"
    assert answer.json() == {"active": False}


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/livez", 200, None),
        ("POST", "/livez", 405, "GET, HEAD"),
        ("POST", "/.well-known/oauth-authorization-server", 405, "GET, HEAD"),
        ("GET", "/", 404, None),
        ("POST", "/oauth2/introspect/", 404, None),
        ("POST", "/OAUTH2/introspect", 404, None),
        ("GET", "/.well-known/oauth-authorization-server/t1", 404, None),
    ],
)
async def test_other_paths_answer_plainly(world: World, method: str, path: str, status: int, allow: str | None) -> None:
    """Liveness needs no credentials, and what does not exist is 404."""
    answer = await world.http.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert COMMON.items() <= dict(answer.headers).items()


async def test_a_refresh_over_http_rotates_and_reuse_is_noted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The answer has both tokens; the second use is invalid_grant, ends the family and is logged without any token."""
    token, _ = await issue_token(
        world.store, client_id="app", scope=("x",), kind=TokenKind.REFRESH, audience=(API,), ttl_seconds=600, now=NOW
    )
    data = {"grant_type": "refresh_token", "refresh_token": token}
    members = (await world.http.post("/oauth2/token", data=data, auth=APP)).json()
    assert set(members) == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert (await world.introspect(members["access_token"])).json()["active"] is True
    assert (await world.introspect(members["refresh_token"])).json() == {"active": False}
    own = (await world.introspect(members["refresh_token"], APP)).json()
    assert (own["active"], own["token_use"], "token_type" in own) == (True, "refresh_token", False)
    check_refusal(await world.http.post("/oauth2/token", data=data, auth=APP), 400, "invalid_grant")
    for each in (members["access_token"], members["refresh_token"]):
        assert (await world.introspect(each, APP)).json() == {"active": False}
    assert "used twice" in caplog.text
    assert not any(each in caplog.text for each in (token, members["access_token"], members["refresh_token"]))


@pytest.mark.shows("S93")
async def test_revoking_a_refresh_token_ends_its_family(world: World) -> None:
    """7-5: with a refresh token fall its access tokens; an access token falls alone."""
    token, _ = await issue_token(world.store, client_id="app", kind=TokenKind.REFRESH, ttl_seconds=600, now=NOW)
    data = {"grant_type": "refresh_token", "refresh_token": token}
    first = (await world.http.post("/oauth2/token", data=data, auth=APP)).json()
    await world.http.post("/oauth2/revoke", data={"token": first["access_token"]}, auth=APP)
    assert (await world.introspect(first["refresh_token"], APP)).json()["active"] is True
    data["refresh_token"] = first["refresh_token"]
    second = (await world.http.post("/oauth2/token", data=data, auth=APP)).json()
    await world.http.post("/oauth2/revoke", data={"token": second["refresh_token"]}, auth=APP)
    for each in (second["access_token"], second["refresh_token"]):
        assert (await world.introspect(each, APP)).json() == {"active": False}


async def test_a_disabled_client_is_out_and_so_are_its_tokens(world: World) -> None:
    """At once: it cannot authenticate, and nobody sees its tokens as active."""
    token = await world.token()
    assert (await world.introspect(token)).json()["active"] is True
    await world.store.replace_client(replace(CLIENTS[0], disabled_at=NOW))
    assert (await world.introspect(token)).content == b'{"active":false}'
    answer = await world.http.post("/oauth2/introspect", data={"token": token}, auth=APP)
    check_refusal(answer, 401, "invalid_client")


@pytest.mark.shows("S94")
async def test_claims_of_a_token_are_told(world: World) -> None:
    """cnf, acr, auth_time, authorization_details and act come back as they were given."""
    claims = {
        "acr": "urn:mfa",
        "act": {"sub": "agent"},
        "auth_time": NOW - 60,
        "authorization_details": [{"type": "payment", "limit": 5}],
        "cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
    }
    token, _ = await issue_token(world.store, client_id="app", audience=(API,), claims=claims, ttl_seconds=60, now=NOW)
    assert claims.items() <= (await world.introspect(token)).json().items()


async def test_a_batch_is_offered_only_by_option(world: World) -> None:
    """By default there is no such endpoint; with it, a resource server gets each answer in order."""
    assert (await world.post("/oauth2/introspect/batch", "tokens=x")).status_code == 404
    token = await world.token()
    single = [await world.introspect(each) for each in ("x", token, "x")]
    service = Service(world.store, ISSUER, world.clock, verifier=SecretVerifier(rounds=4))
    transport = httpx.ASGITransport(create_app(service, batch=True))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:

        async def ask(auth: tuple[str, str], **form: str) -> httpx.Response:
            return await http.post("/oauth2/introspect/batch", data=form, auth=auth)

        answer = await ask(GATEWAY, tokens=f"x {token} x")
        assert answer.json() == {"responses": [each.json() for each in single]}
        assert COMMON.items() <= dict(answer.headers).items()
        check_refusal(await ask(APP, tokens=token), 400, "unauthorized_client")
        check_refusal(await ask(GATEWAY, token=token), 400, "invalid_request")
        check_refusal(await ask(GATEWAY, tokens=" ".join(["x"] * 257)), 400, "invalid_request")
        assert len((await ask(GATEWAY, tokens=" ".join(["x" * 1000] * 256))).json()["responses"]) == 256
        assert (await ask(GATEWAY, tokens="x" * 600_000)).status_code == 413


async def test_keys_are_published_where_there_are_any(world: World) -> None:
    """The metadata names the document, and neither exists without keys."""
    assert (await world.http.get("/oauth2/jwks")).status_code == 404
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signing = SigningKeys([SigningKey.of_pem(pem)])
    transport = httpx.ASGITransport(create_app(Service(world.store, ISSUER, world.clock, signing=signing)))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert (await http.get(metadata["jwks_uri"])).json() == signing.jwks()


@pytest.mark.shows("S96")
async def test_who_asks_for_a_signed_answer_gets_one(world: World) -> None:
    """RFC 9701 §5: of this server, for this caller, and of no other kind of JWT. Unauthenticated, it is 400."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signing = SigningKeys([SigningKey.of_pem(pem)])
    service = Service(world.store, ISSUER, world.clock, verifier=SecretVerifier(rounds=4), signing=signing)
    accept = {"accept": "application/token-introspection+jwt"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(service)), base_url=ISSUER) as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["introspection_signing_alg_values_supported"] == ["ES256"]
        for token in (await world.token(), "unknown"):
            plain = await http.post("/oauth2/introspect", data={"token": token}, auth=GATEWAY)
            signed = await http.post("/oauth2/introspect", data={"token": token}, auth=GATEWAY, headers=accept)
            assert plain.headers["content-type"] == "application/json"
            assert (signed.status_code, signed.headers["content-type"]) == (200, accept["accept"])
            assert signed.headers["cache-control"] == "no-store"
            assert jwt.get_unverified_header(signed.text)["typ"] == "token-introspection+jwt"
            said = jwt.decode(
                signed.text, key.public_key(), ["ES256"], audience="gateway", options={"verify_iat": False}
            )
            assert said == {"iss": ISSUER, "aud": "gateway", "iat": NOW, "token_introspection": plain.json()}
        nobody = await http.post("/oauth2/introspect", data={"token": "x"}, auth=("gateway", "wrong"), headers=accept)
        check_refusal(nobody, 400, "invalid_request")


async def test_without_a_key_nothing_is_signed(world: World) -> None:
    """Then the answer is JSON, whatever is asked for, and who is not authenticated is challenged as usual."""
    accept = {"accept": "application/token-introspection+jwt"}
    token = await world.token()
    answer = await world.http.post("/oauth2/introspect", data={"token": token}, auth=GATEWAY, headers=accept)
    assert answer.json()["active"] is True
    nobody = await world.http.post("/oauth2/introspect", data={"token": token}, auth=("x", "y"), headers=accept)
    assert nobody.status_code == 401


async def test_jwts_without_a_key_are_our_fault(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A client that is to get JWTs from a server without a key is told of trouble, and the operator what to do."""
    await world.store.replace_client(replace(CLIENTS[0], jwt_access_tokens=True))
    answer = await world.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=APP)
    assert (answer.status_code, answer.json()) == (500, {"error": "server_error"})
    assert "configure a signing key" in caplog.text


@pytest.mark.parametrize(
    ("mutual_tls", "extensions", "status"),
    [
        (True, {"tls": {"client_cert_chain": (CERTIFICATE, "ca"), "client_cert_error": None}}, 200),
        (True, {"tls": {"client_cert_chain": (STRANGE_CERTIFICATE,), "client_cert_error": None}}, 401),
        (True, {"tls": {"client_cert_chain": (CERTIFICATE,), "client_cert_error": "expired"}}, 401),
        (True, {"tls": {"client_cert_chain": ("no certificate",), "client_cert_error": None}}, 401),
        (True, {"tls": {"client_cert_chain": (), "client_cert_error": None}}, 401),
        (True, {"tls": {"client_cert_chain": (), "client_cert_name": "CN=rs"}}, 401),
        (True, {}, 401),
        (False, {"tls": {"client_cert_chain": (CERTIFICATE,), "client_cert_error": None}}, 401),
    ],
)
async def test_a_verified_certificate_authenticates(
    world: World, extensions: dict[str, Any], status: int, *, mutual_tls: bool
) -> None:
    """Only one that the listener names as verified, and only where the listener is known to verify."""
    await world.store.add_client(ClientRecord(client_id="tls", auth_method=AuthMethod.TLS, certificate_subject="CN=rs"))
    app = create_app(Service(world.store, ISSUER, world.clock), mutual_tls=mutual_tls)

    async def with_tls(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await app({**scope, "extensions": extensions}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(with_tls), base_url=ISSUER) as http:
        answer = await http.post("/oauth2/introspect", data={"token": "x", "client_id": "tls"})
        assert answer.status_code == status
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert ("tls_client_auth" in metadata["introspection_endpoint_auth_methods_supported"]) is mutual_tls
        assert metadata.get("tls_client_certificate_bound_access_tokens", False) is mutual_tls


async def test_lifespan_is_acknowledged(world: World) -> None:
    """Startup and shutdown of the carrying server are answered in turn."""
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(events)

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    await world.app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


async def test_client_that_leaves_gets_no_answer(world: World) -> None:
    """A request that is never completed ends without an answer and without an exception."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    headers = [(b"content-type", FORM.encode())]
    scope = {"type": "http", "method": "POST", "path": "/oauth2/introspect", "query_string": b"", "headers": headers}
    await world.app(scope, receive, send)
    assert sent == []


async def test_websocket_is_not_spoken(world: World) -> None:
    """A connection of another kind is refused to the carrying server."""

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        raise AssertionError(message)

    with pytest.raises(ValueError, match="only HTTP"):
        await world.app({"type": "websocket", "path": "/"}, receive, send)
