"""The sources of one server: one for each mode that it is equipped for, so that routes can have a mode of their own.

Modes do not share what they remember: what a token says for itself must never be taken for the server's word.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from extauthz.app_ladder import introspector, shape
from extauthz.app_server import ServerParts
from extauthz.config.compile import source_name
from extauthz.config.jwt import lacks_for_jwts
from extauthz.observe.events import Observer
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Introspector, Source
from extauthz.resolver.hybrid import Comparing, HybridSettings, JwtOnly, JwtThenIntrospect
from extauthz.resolver.jwt_verifier import JwtVerifier
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_cache import SharedCache


class Remembers(Protocol):
    """Makes what a source remembers its answers in."""

    def cache(self, settings: ServerSettings) -> TokenCache:
        """The memory of this process."""

    def shared(self, settings: ServerSettings, cache: TokenCache) -> SharedCache | None:
        """The memory of all processes, if they have one."""


def sources_of(parts: ServerParts, observer: Observer, memory: Remembers) -> Iterator[Source]:
    """Every way in which the server's tokens can be judged, each under the name that the compiled policy has for it."""
    asking = None if parts.server.client is None else introspector(parts, observer)
    verifier = None if lacks_for_jwts(dict(parts.server)) else parts.verifier
    if asking is not None:
        yield _asking(parts, _settings(parts, "introspect"), asking, memory)
    if verifier is not None:
        yield _judging(parts, verifier, memory)
    if asking is not None and verifier is not None:
        yield _hybrid(parts, asking, verifier, observer, memory)


def _asking(parts: ServerParts, settings: ServerSettings, client: Introspector, memory: Remembers) -> Source:
    """The server's word."""
    cache = memory.cache(settings)
    return Source(
        name=settings.name,
        cache=cache,
        client=client,
        shape=shape(parts.server.tokens),
        shared=memory.shared(settings, cache),
    )


def _judging(parts: ServerParts, verifier: JwtVerifier, memory: Remembers) -> Source:
    """The token's own word. To look at it anew costs less than to ask another process what it has seen."""
    settings = _settings(parts, "jwt")
    cache = memory.cache(settings)
    local = JwtOnly(verifier, cache, monotonic=time.monotonic)
    return Source(name=settings.name, cache=cache, client=verifier, shape=shape(parts.server.tokens), local=local)


def _hybrid(
    parts: ServerParts, asking: Introspector, verifier: JwtVerifier, observer: Observer, memory: Remembers
) -> Source:
    """First the one, then the other."""
    jwt = parts.server.jwt
    settings = _settings(parts, "jwt_then_introspect")
    settings = settings if jwt.revalidate is None else replace(settings, ttl=jwt.revalidate)
    client = Comparing(asking, verifier, server=parts.settings.name, observer=observer)
    source = _asking(parts, settings, client, memory)
    how = HybridSettings(
        max_entries=settings.max_entries,
        max_local_age=jwt.max_local_age if jwt.on_introspection_error == "local" else 0.0,
    )
    local = JwtThenIntrospect(verifier, source.cache, how, monotonic=time.monotonic, wall=time.time)
    return replace(source, local=local)


def _settings(parts: ServerParts, mode: str) -> ServerSettings:
    name = source_name(parts.settings.name, mode, {parts.settings.name: parts.server})
    return replace(parts.settings, name=name, mode=mode)


def staleness(parts: ServerParts) -> tuple[float, float] | None:
    """How many seconds old a word of the server may be at most: while it answers, and while it does not.

    None where nobody is asked. Routes may choose another mode, so the longest time of any mode counts.
    """
    server, settings = parts.server, parts.settings
    if server.client is None or settings.mode == "jwt":
        return None
    hybrid = settings.mode == "jwt_then_introspect"
    answering = max(settings.ttl, (server.jwt.revalidate or 0.0) if hybrid else 0.0)
    local = server.jwt.max_local_age if hybrid and server.jwt.on_introspection_error == "local" else 0.0
    return answering, max(answering + settings.stale_if_error, local)
