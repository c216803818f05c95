"""The authorization server over HTTP, as a plain ASGI 3 application.

The order of a POST: method, form, credentials, parameters, decision. Whatever goes wrong is an answer here; nothing is
raised to the server that carries the application.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from extauthz.authserver import render
from extauthz.authserver.client_auth import read_credentials
from extauthz.authserver.errors import ErrorCode, MisconfiguredError, OAuthError, ReuseError
from extauthz.authserver.forms import is_form, parse_form, parse_query_names
from extauthz.authserver.grants import TokenRequest
from extauthz.authserver.meaning import Inactive, Why
from extauthz.authserver.metadata import BATCH_PATH, INTROSPECTION_PATH, JWKS_PATH, REVOCATION_PATH, TOKEN_PATH
from extauthz.authserver.service import Revocation
from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from extauthz.authserver.render import Answer
    from extauthz.authserver.service import Service
    from extauthz.authserver.store.base import ClientRecord

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES: Final = 64 * 1024
"""Far above any token or secret that is in use."""

MAX_BATCH_BYTES: Final = 512 * 1024
"""256 tokens, each a JWT of 2 KiB."""

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
LIVENESS_PATH: Final = "/livez"

_NEVER_IN_THE_QUERY: Final = frozenset({"token", "client_secret"})

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is longer than the endpoint reads."""


class _ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    realm: str
    handle: Callable[[Service, ClientRecord, dict[str, str]], Awaitable[Answer]]
    max_body_bytes: int = MAX_BODY_BYTES


def create_app(service: Service, *, batch: bool = False, mutual_tls: bool = False) -> Application:
    """Return the application: endpoints for POST, metadata (RFC 8414 §3.1), keys and liveness for GET.

    The endpoints answer at the root and below the path of the issuer, if it has one. ``batch`` adds introspection of
    many tokens at once. ``mutual_tls`` says that the listener verifies the certificates that clients present; else
    none is looked at.
    """
    base = urlsplit(service.metadata().issuer).path.rstrip("/")
    pages = _pages(service, base, mutual_tls=mutual_tls)
    offered = _ENDPOINTS | _BATCH if batch else _ENDPOINTS
    endpoints = {prefix + path: endpoint for prefix in ("", base) for path, endpoint in offered.items()}

    async def answer(scope: Message, receive: Receive) -> Answer:
        if (page := pages.get(scope["path"])) is not None:
            return page if scope["method"] in {"GET", "HEAD"} else render.method_not_allowed(b"GET, HEAD")
        if (endpoint := endpoints.get(scope["path"])) is not None:
            return await _post(service, endpoint, scope, receive, mutual_tls=mutual_tls)
        return render.NOT_FOUND

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                await _send(await answer(scope, receive), scope, send)
            except _ClientGoneError:
                return
        else:
            raise ValueError("only HTTP is spoken here")

    return app


def _pages(service: Service, base: str, *, mutual_tls: bool) -> dict[str, Answer]:
    metadata = render.described(service.metadata(mutual_tls=mutual_tls))
    pages = {LIVENESS_PATH: render.ALIVE, METADATA_PATH: metadata, METADATA_PATH + base: metadata}
    if (jwks := service.jwks()) is not None:
        pages |= dict.fromkeys((JWKS_PATH, base + JWKS_PATH), render.published(jwks))
    return pages


async def _lifespan(receive: Receive, send: Send) -> None:
    while (event := (await receive())["type"]) != "lifespan.shutdown":
        await send({"type": f"{event}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _send(answer: Answer, scope: Message, send: Send) -> None:
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers()})
    await send({"type": "http.response.body", "body": body})


async def _post(service: Service, endpoint: _Endpoint, scope: Message, receive: Receive, *, mutual_tls: bool) -> Answer:
    if scope["method"] != "POST":
        return render.method_not_allowed(b"POST")
    try:
        form = await _read_form(scope, receive, endpoint.max_body_bytes)
        authorization = [value.decode("latin-1") for value in _header(scope, b"authorization")]
        subject = _certificate_subject(scope) if mutual_tls else None
        caller = await service.authenticate(read_credentials(authorization, form, certificate_subject=subject))
        return await endpoint.handle(service, caller, form)
    except _ClientGoneError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours is an answer too
        return _failed(endpoint, error)


def _failed(endpoint: _Endpoint, error: Exception) -> Answer:
    match error:
        case OAuthError():
            if isinstance(error, ReuseError):
                _log.warning("a refresh token was used twice: family %s is revoked", error.family)
            return render.refused(error, realm=endpoint.realm)
        case _TooLargeError():
            return render.TOO_LARGE
        case StoreError():
            _log.error("%s: the store failed: %s", endpoint.realm, error)
            return render.UNAVAILABLE
        case MisconfiguredError():
            _log.error("%s: %s", endpoint.realm, error)
        case _:
            _log_fault(endpoint, error)
    return render.SERVER_ERROR


async def _read_form(scope: Message, receive: Receive, max_bytes: int) -> dict[str, str]:
    if not is_form(_header(scope, b"content-type")):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The body must be application/x-www-form-urlencoded")
    query = scope.get("query_string")
    if query and not _NEVER_IN_THE_QUERY.isdisjoint(parse_query_names(query)):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "Tokens and secrets do not belong into the URL")
    return parse_form(await _read_body(receive, max_bytes))


async def _read_body(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _TooLargeError
        more = message.get("more_body", False)
    return bytes(body)


def _header(scope: Message, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]  # ASGI: names are in lower case


def _certificate_subject(scope: Message) -> str | None:
    """ASGI's TLS extension: the listener names only a certificate that it has verified."""
    tls = scope.get("extensions", {}).get("tls") or {}
    return None if tls.get("client_cert_error") else tls.get("client_cert_name")


async def _token(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    named = (form.get("audience"), form.get("resource"))
    audience = tuple(dict.fromkeys(name for name in named if name is not None))
    request = TokenRequest(
        grant_type=form.get("grant_type"),
        scope=form.get("scope"),
        audience=audience,
        refresh_token=form.get("refresh_token"),
    )
    return render.issued(await service.issue(caller, request))


async def _introspect(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    state = await service.introspect(caller, _required(form, "token"))
    if isinstance(state, Inactive) and state.why is Why.NOT_FOR_CALLER:
        _log.info("client %r asked about a token that it may not see", caller.client_id)
    return render.introspected(state)


async def _introspect_each(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    return render.introspected_each(await service.introspect_each(caller, _required(form, "tokens").split(" ")))


async def _revoke(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    if await service.revoke(caller, _required(form, "token")) is Revocation.OTHER_CLIENT:
        _log.warning("client %r asked to revoke a token of another client", caller.client_id)
    return render.revoked()


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if value is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"{name} is missing")
    return value


def _log_fault(endpoint: _Endpoint, error: Exception) -> None:
    # The message of a foreign exception may quote a token or a secret: only its type and place are told.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s: unforeseen %s at %s:%s", endpoint.realm, type(error).__name__, place.filename, place.lineno)


_ENDPOINTS: Final = {
    TOKEN_PATH: _Endpoint(realm="token", handle=_token),
    INTROSPECTION_PATH: _Endpoint(realm="introspection", handle=_introspect),
    REVOCATION_PATH: _Endpoint(realm="revocation", handle=_revoke),
}

_BATCH: Final = {BATCH_PATH: _Endpoint(realm="introspection", handle=_introspect_each, max_body_bytes=MAX_BATCH_BYTES)}
