"""How a server is asked: the layers between the resolver and the wire, as `extauthz.yaml` has them.

alarm ▸ ladder ▸ client                           as a rule
alarm ▸ batcher ▸ one by one ▸ ladder ▸ client    with `batch.delay`
alarm ▸ batcher ▸ ladder ▸ batch client           with `batch.endpoint` too
"""

import secrets
import time
from collections.abc import Sequence
from typing import Final

from extauthz.app_server import ServerParts
from extauthz.config.limits import InactiveLimit, Tokens
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.batch_answer import MAX_BATCH_ANSWER_BYTES
from extauthz.core.introspection import Active, Inactive, TokenState
from extauthz.core.token import Token
from extauthz.observe.events import Observer
from extauthz.resolver.batch import Batcher, BatchSettings, OneByOne
from extauthz.resolver.batch_client import BatchClient
from extauthz.resolver.breaker import BreakerSettings
from extauthz.resolver.chain import Introspector
from extauthz.resolver.client import IntrospectionClient
from extauthz.resolver.ladder import Asks, Ladder, LadderSettings
from extauthz.resolver.limiter import InactiveLimiter, LimitSettings
from extauthz.resolver.selfcheck import InactivityAlarm
from extauthz.resolver.shape import TokenShape

_CHECK_TOKEN_BYTES: Final = 32

Many = Asks[Sequence[Token], Sequence[TokenState]]


def introspector(parts: ServerParts, observer: Observer) -> Introspector:
    """All layers for one server."""
    settings, batched = parts.settings, parts.server.batch.delay > 0
    inner = Batcher(_many(parts, observer), _batch_settings(parts.server)) if batched else _single(parts, observer)
    return InactivityAlarm(inner, server=settings.name, ttl=settings.ttl, observer=observer, monotonic=time.monotonic)


def _single(parts: ServerParts, observer: Observer) -> Ladder[Token, Active | Inactive]:
    client = IntrospectionClient(parts.settings, parts.caller())
    limits = _ladder_settings(parts.server, parts.server.max_connections)
    return Ladder(client, limits, server=parts.settings.name, observer=observer, monotonic=time.monotonic)


def _many(parts: ServerParts, observer: Observer) -> Many:
    endpoint = parts.server.batch.endpoint
    if endpoint is None:
        return OneByOne(_single(parts, observer))
    caller = parts.caller(lambda _: endpoint, max_answer_bytes=MAX_BATCH_ANSWER_BYTES)
    client = BatchClient(IntrospectionClient(parts.settings, caller), parts.settings, observer)
    limits = _ladder_settings(parts.server, parts.server.batch.concurrency)
    return Ladder(client, limits, server=parts.settings.name, observer=observer, monotonic=time.monotonic)


def _ladder_settings(server: AuthorizationServer, max_concurrent: int) -> LadderSettings:
    circuit = BreakerSettings(
        failures=server.circuit.failures,
        window=server.circuit.window,
        open_seconds=max(server.circuit.pause, server.timeout),
        max_open_seconds=max(server.circuit.longest_pause, server.timeout),
    )
    return LadderSettings(
        timeout=server.timeout,
        retries=server.retries,
        max_concurrent=max_concurrent,
        max_waiting=server.max_waiting,
        circuit=circuit,
    )


def _batch_settings(server: AuthorizationServer) -> BatchSettings:
    batch = server.batch
    return BatchSettings(
        delay=batch.delay,
        size=batch.size,
        concurrency=batch.concurrency,
        timeout=server.timeout,
        max_waiting=server.max_waiting,
    )


def shape(tokens: Tokens) -> TokenShape:
    """What the tokens of a server look like."""
    return TokenShape(
        prefix=tokens.prefix or "",
        min_length=tokens.min_length,
        max_length=tokens.max_length,
        alphabet=tokens.alphabet,
    )


def limiter(limit: InactiveLimit | None) -> InactiveLimiter:
    """Counts inactive tokens for each address, if the operator wants that."""
    settings = None if limit is None else LimitSettings(**limit.model_dump())
    return InactiveLimiter(settings, time.monotonic)


def token_for_check(tokens: Tokens) -> Token:
    """A token that nobody issued."""
    return Token((tokens.prefix or "") + secrets.token_urlsafe(_CHECK_TOKEN_BYTES))
