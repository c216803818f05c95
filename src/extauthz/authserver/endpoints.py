"""What the endpoints do once the client is known: parameters, decision, answer, and what is noted of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from extauthz.authserver import render
from extauthz.authserver.anomaly import ACTIVE
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.events import Event, Kind
from extauthz.authserver.grants import REFRESH_TOKEN, TokenRequest
from extauthz.authserver.meaning import Inactive
from extauthz.authserver.metadata import BATCH_PATH, INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from extauthz.authserver.service import Revocation
from extauthz.authserver.store.base import token_digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from extauthz.authserver.certificate import Certificate
    from extauthz.authserver.meaning import Active
    from extauthz.authserver.render import Answer
    from extauthz.authserver.service import Service
    from extauthz.authserver.store.base import ClientRecord, TokenRecord

MAX_BODY_BYTES: Final = 64 * 1024
"""Far above any token or secret that is in use."""

MAX_BATCH_BYTES: Final = 512 * 1024
"""256 tokens, each a JWT of 2 KiB."""

_log = logging.getLogger(__name__)


class Posted(NamedTuple):
    """What a request holds besides credentials."""

    form: dict[str, str]
    certificate: Certificate | None = None
    """Of the connection, verified by the listener, whatever the client authenticated with."""
    signed: bool = False
    """Whether the answer is wanted as a JWT (RFC 9701)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What is done for a client that is known."""

    realm: str
    kind: Kind
    handle: Callable[[Service, ClientRecord, Posted, list[Event]], Awaitable[Answer]]
    """Answers, and completes the event in the list, or puts one for each token in its place."""
    max_body_bytes: int = MAX_BODY_BYTES


async def _token(service: Service, caller: ClientRecord, posted: Posted, events: list[Event]) -> Answer:
    event, form = events[0], posted.form
    if form.get("grant_type") == REFRESH_TOKEN:
        event.kind = Kind.EXCHANGE
    named = (form.get("audience"), form.get("resource"))
    audience = tuple(dict.fromkeys(name for name in named if name is not None))
    request = TokenRequest(
        grant_type=form.get("grant_type"),
        scope=form.get("scope"),
        audience=audience,
        refresh_token=form.get("refresh_token"),
        certificate=posted.certificate,
    )
    issued = await service.issue(caller, request)
    event.result, event.jti, event.sub = "issued", issued.jti, issued.sub
    return render.issued(issued)


async def _introspect(service: Service, caller: ClientRecord, posted: Posted, events: list[Event]) -> Answer:
    token = _required(posted.form, "token")
    state = await service.introspect(caller, token)
    _note_state(events[0], token, state)
    answer = render.introspected(state)
    jwt = await service.sign_answer(caller, orjson.loads(answer.body)) if posted.signed else None
    return answer if jwt is None else render.signed(jwt)


async def _introspect_each(service: Service, caller: ClientRecord, posted: Posted, events: list[Event]) -> Answer:
    tokens = _required(posted.form, "tokens").split(" ")
    states = await service.introspect_each(caller, tokens)
    events[:] = [replace(events[0]) for _ in tokens]
    for event, token, state in zip(events, tokens, states, strict=True):
        _note_state(event, token, state)
    return render.introspected_each(states)


def _note_state(event: Event, token: str, state: Active | Inactive) -> None:
    event.jti, event.sub = state.jti, state.sub
    if isinstance(state, Inactive):
        event.result = state.why.value
        event.token_mark = token_digest(token)[:8]
    else:
        event.result = ACTIVE


async def _revoke(service: Service, caller: ClientRecord, posted: Posted, events: list[Event]) -> Answer:
    event = events[0]

    def found(record: TokenRecord) -> None:
        event.jti, event.sub = record.jti, record.sub

    outcome = await service.revoke(caller, _required(posted.form, "token"), found=found)
    event.result = outcome.value
    if outcome is Revocation.OTHER_CLIENT:
        _log.warning("client %r asked to revoke a token of another client", caller.client_id)
    return render.revoked()


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if value is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"{name} is missing")
    return value


ENDPOINTS: Final = {
    TOKEN_PATH: Endpoint(realm="token", kind=Kind.ISSUE, handle=_token),
    INTROSPECTION_PATH: Endpoint(realm="introspection", kind=Kind.INTROSPECTION, handle=_introspect),
    REVOCATION_PATH: Endpoint(realm="revocation", kind=Kind.REVOCATION, handle=_revoke),
}

BATCH: Final = {
    BATCH_PATH: Endpoint(
        realm="introspection", kind=Kind.INTROSPECTION, handle=_introspect_each, max_body_bytes=MAX_BATCH_BYTES
    )
}
