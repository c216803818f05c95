"""The authorization server over HTTP, as a plain ASGI 3 application.

The order of a POST: method, form, credentials, parameters, decision. Whatever goes wrong is an answer here; nothing is
raised to the server that carries the application.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from extauthz.authserver import render
from extauthz.authserver.accept import wants_signed
from extauthz.authserver.anomaly import ACTIVE, REUSED
from extauthz.authserver.certificate import presented_certificate
from extauthz.authserver.client_auth import read_credentials
from extauthz.authserver.endpoints import BATCH, ENDPOINTS, Endpoint, Posted
from extauthz.authserver.errors import ErrorCode, MisconfiguredError, OAuthError, ReuseError
from extauthz.authserver.events import Event, Kind
from extauthz.authserver.forms import is_form, parse_form, parse_query_names
from extauthz.authserver.guard import Guard, GuardRules, TooManyError, claimed_id
from extauthz.authserver.limiting import MemoryCounts
from extauthz.authserver.metadata import JWKS_PATH
from extauthz.authserver.peer import peer_address, shown
from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from extauthz.authserver.render import Answer
    from extauthz.authserver.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
LIVENESS_PATH: Final = "/livez"

_NEVER_IN_THE_QUERY: Final = frozenset({"token", "client_secret"})

_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
"""RFC 6797 §6.1; it means something only under TLS."""

_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """The body is longer than the endpoint reads."""


class _ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """What every POST goes through."""

    service: Service
    guard: Guard
    observe: Callable[[Event], None] | None
    mutual_tls: bool


def create_app(
    service: Service,
    *,
    batch: bool = False,
    mutual_tls: bool = False,
    guard: Guard | None = None,
    observe: Callable[[Event], None] | None = None,
) -> Application:
    """Return the application: endpoints for POST, metadata (RFC 8414 §3.1), keys and liveness for GET.

    The endpoints answer at the root and below the path of the issuer, if it has one. ``batch`` adds introspection of
    many tokens at once. ``mutual_tls`` says that the listener verifies the certificates that clients present; else
    none is looked at. Without a ``guard`` there is one that only limits failed authentication. ``observe`` is told each
    event once its answer is known; it must neither wait nor raise.
    """
    guard = Guard(GuardRules(), MemoryCounts(time.monotonic)) if guard is None else guard
    door = _Door(service=service, guard=guard, observe=observe, mutual_tls=mutual_tls)
    base = urlsplit(service.metadata().issuer).path.rstrip("/")
    pages = _pages(service, base, mutual_tls=mutual_tls)
    offered = ENDPOINTS | BATCH if batch else ENDPOINTS
    endpoints = {prefix + path: endpoint for prefix in ("", base) for path, endpoint in offered.items()}

    async def answer(scope: Message, receive: Receive) -> Answer:
        if (page := pages.get(scope["path"])) is not None:
            return page if scope["method"] in {"GET", "HEAD"} else render.method_not_allowed(b"GET, HEAD")
        if (endpoint := endpoints.get(scope["path"])) is not None:
            return await _post(door, endpoint, scope, receive)
        return render.NOT_FOUND

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                told = await answer(scope, receive)
            except _ClientGoneError:
                return
            # Answers to what arrived together leave together, so the server's threads are not woken for each of them.
            await asyncio.sleep(0)
            await _send(told, scope, send)
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
    headers = [*answer.headers(), _HSTS] if scope.get("scheme") == "https" else answer.headers()
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _post(door: _Door, endpoint: Endpoint, scope: Message, receive: Receive) -> Answer:
    if scope["method"] != "POST":
        return render.method_not_allowed(b"POST")
    started = time.perf_counter()
    events = [Event(kind=endpoint.kind, at=time.time())]
    try:
        answer = await _answer(door, endpoint, scope, receive, events)
    except _ClientGoneError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours is an answer too
        _note_failure(events, error)
        answer = _failed(endpoint, _as_of_jwt(error) if _asks_for_jwt(door, endpoint, scope) else error)
    if door.observe is not None:
        for event in events:
            event.took_seconds = time.perf_counter() - started
            door.observe(event)
    return answer


async def _answer(door: _Door, endpoint: Endpoint, scope: Message, receive: Receive, events: list[Event]) -> Answer:
    event = events[0]
    address = peer_address(scope, door.guard.rules.trusted_proxies)
    event.address = shown(address)
    event.user_agent = b" ".join(_header(scope, b"user-agent")).decode("latin-1")
    await door.guard.admit(address)
    form = await _read_form(scope, receive, endpoint.max_body_bytes)
    authorization = [value.decode("latin-1") for value in _header(scope, b"authorization")]
    certificate = presented_certificate(scope) if door.mutual_tls else None
    credentials = read_credentials(authorization, form, certificate_subject=certificate and certificate.subject)
    event.client_id = claimed_id(credentials)
    caller = await door.guard.authenticate(address, credentials, door.service.authenticate)
    event.client_id = caller.client_id
    posted = Posted(form, certificate, _asks_for_jwt(door, endpoint, scope))
    if door.guard.rules.inactive_per_client is None or endpoint.kind is not Kind.INTROSPECTION:
        return await endpoint.handle(door.service, caller, posted, events)
    await door.guard.admit_question(caller)
    answer = await endpoint.handle(door.service, caller, posted, events)
    await door.guard.count_inactive(caller, sum(event.result != ACTIVE for event in events))
    return answer


def _asks_for_jwt(door: _Door, endpoint: Endpoint, scope: Message) -> bool:
    return door.service.signs and endpoint.kind is Kind.INTROSPECTION and wants_signed(_header(scope, b"accept"))


def _as_of_jwt(error: Exception) -> Exception:
    """RFC 9701 §5: who asks for a signed answer and is not authenticated gets 400."""
    if isinstance(error, OAuthError) and error.code is ErrorCode.INVALID_CLIENT:
        return OAuthError(ErrorCode.INVALID_REQUEST, "A signed answer is for authenticated clients alone")
    return error


def _note_failure(events: list[Event], error: Exception) -> None:
    del events[1:]
    event = events[0]
    match error:
        case ReuseError():
            event.result = REUSED
        case OAuthError():
            event.result = error.code.value
            if error.code is ErrorCode.INVALID_CLIENT:
                event.kind = Kind.AUTHENTICATION_FAILED
        case TooManyError():
            event.result = "too_many_requests"
        case _TooLargeError():
            event.result = "too_large"
        case StoreError():
            event.result = "unavailable"
        case _:
            event.result = "server_error"


def _failed(endpoint: Endpoint, error: Exception) -> Answer:
    match error:
        case OAuthError():
            if isinstance(error, ReuseError):
                _log.warning("a refresh token was used twice: family %s is revoked", error.family)
            return render.refused(error, realm=endpoint.realm)
        case TooManyError():
            return render.too_many(error.retry_after_seconds)
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


def _log_fault(endpoint: Endpoint, error: Exception) -> None:
    # The message of a foreign exception may quote a token or a secret: only its type and place are told.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s: unforeseen %s at %s:%s", endpoint.realm, type(error).__name__, place.filename, place.lineno)
