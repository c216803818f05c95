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
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.forms import is_form, parse_form, parse_query_names
from extauthz.authserver.service import (
    INTROSPECTION_PATH,
    REVOCATION_PATH,
    TOKEN_PATH,
    Inactive,
    Revocation,
    TokenRequest,
    Why,
)
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

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
LIVENESS_PATH: Final = "/livez"

_NEVER_IN_THE_QUERY: Final = frozenset({"token", "client_secret"})

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body exceeds ``MAX_BODY_BYTES``."""


class _ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    realm: str
    handle: Callable[[Service, ClientRecord, dict[str, str]], Awaitable[Answer]]


def create_app(service: Service) -> Application:
    """Return the application: endpoints for POST, metadata (RFC 8414 §3.1) and liveness for GET.

    The endpoints answer at the root and below the path of the issuer, if it has one.
    """
    base = urlsplit(service.metadata().issuer).path.rstrip("/")
    metadata = render.described(service.metadata())
    pages = {LIVENESS_PATH: render.ALIVE, METADATA_PATH: metadata, METADATA_PATH + base: metadata}
    endpoints = {prefix + path: endpoint for prefix in ("", base) for path, endpoint in _ENDPOINTS.items()}

    async def answer(scope: Message, receive: Receive) -> Answer:
        if (page := pages.get(scope["path"])) is not None:
            return page if scope["method"] in {"GET", "HEAD"} else render.method_not_allowed(b"GET, HEAD")
        if (endpoint := endpoints.get(scope["path"])) is not None:
            return await _post(service, endpoint, scope, receive)
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


async def _lifespan(receive: Receive, send: Send) -> None:
    while (event := (await receive())["type"]) != "lifespan.shutdown":
        await send({"type": f"{event}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _send(answer: Answer, scope: Message, send: Send) -> None:
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers()})
    await send({"type": "http.response.body", "body": body})


async def _post(service: Service, endpoint: _Endpoint, scope: Message, receive: Receive) -> Answer:
    if scope["method"] != "POST":
        return render.method_not_allowed(b"POST")
    try:
        form = await _read_form(scope, receive)
        authorization = [value.decode("latin-1") for value in _header(scope, b"authorization")]
        caller = await service.authenticate(read_credentials(authorization, form))
        return await endpoint.handle(service, caller, form)
    except OAuthError as error:
        return render.refused(error, realm=endpoint.realm)
    except _TooLargeError:
        return render.TOO_LARGE
    except StoreError as error:
        _log.error("%s: the store failed: %s", endpoint.realm, error)
        return render.UNAVAILABLE
    except _ClientGoneError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours is an answer too
        _log_fault(endpoint, error)
        return render.SERVER_ERROR


async def _read_form(scope: Message, receive: Receive) -> dict[str, str]:
    if not is_form(_header(scope, b"content-type")):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The body must be application/x-www-form-urlencoded")
    if not _NEVER_IN_THE_QUERY.isdisjoint(parse_query_names(scope.get("query_string", b""))):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "Tokens and secrets do not belong into the URL")
    return parse_form(await _read_body(receive))


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _TooLargeError
        more = message.get("more_body", False)
    return bytes(body)


def _header(scope: Message, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


async def _token(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    named = (form.get("audience"), form.get("resource"))
    audience = tuple(dict.fromkeys(name for name in named if name is not None))
    request = TokenRequest(grant_type=form.get("grant_type"), scope=form.get("scope"), audience=audience)
    return render.issued(await service.issue(caller, request))


async def _introspect(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    state = await service.introspect(caller, _required_token(form))
    if isinstance(state, Inactive) and state.why is Why.NOT_FOR_CALLER:
        _log.info("client %r asked about a token that it may not see", caller.client_id)
    return render.introspected(state)


async def _revoke(service: Service, caller: ClientRecord, form: dict[str, str]) -> Answer:
    if await service.revoke(caller, _required_token(form)) is Revocation.OTHER_CLIENT:
        _log.warning("client %r asked to revoke a token of another client", caller.client_id)
    return render.revoked()


def _required_token(form: dict[str, str]) -> str:
    token = form.get("token")
    if token is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "token is missing")
    return token


def _log_fault(endpoint: _Endpoint, error: Exception) -> None:
    # The message of a foreign exception may quote a token or a secret: only its type and place are told.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s: unforeseen %s at %s:%s", endpoint.realm, type(error).__name__, place.filename, place.lineno)


_ENDPOINTS: Final = {
    TOKEN_PATH: _Endpoint(realm="token", handle=_token),
    INTROSPECTION_PATH: _Endpoint(realm="introspection", handle=_introspect),
    REVOCATION_PATH: _Endpoint(realm="revocation", handle=_revoke),
}
