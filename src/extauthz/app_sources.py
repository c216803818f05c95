"""The sources of one server: one for each mode that it is equipped for, so that routes can have a mode of their own.

Modes do not share what they remember: what a token says for itself must never be taken for the server's word.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

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

CacheOf = Callable[[ServerSettings], TokenCache]


def sources_of(parts: ServerParts, observer: Observer, cache_of: CacheOf) -> Iterator[Source]:
    """Every way in which the server's tokens can be judged, each under the name that the compiled policy has for it."""
    asking = None if parts.server.client is None else introspector(parts, observer)
    verifier = None if lacks_for_jwts(dict(parts.server)) else parts.verifier()
    if asking is not None:
        settings = _settings(parts, "introspect")
        yield _source(parts, settings, cache_of(settings), asking)
    if verifier is not None:
        settings = _settings(parts, "jwt")
        cache = cache_of(settings)
        local = JwtOnly(verifier, cache, monotonic=time.monotonic)
        yield replace(_source(parts, settings, cache, verifier), local=local)
    if asking is not None and verifier is not None:
        yield _hybrid(parts, asking, verifier, observer, cache_of)


def _hybrid(
    parts: ServerParts, asking: Introspector, verifier: JwtVerifier, observer: Observer, cache_of: CacheOf
) -> Source:
    jwt = parts.server.jwt
    settings = _settings(parts, "jwt_then_introspect")
    settings = settings if jwt.revalidate is None else replace(settings, ttl=jwt.revalidate)
    cache = cache_of(settings)
    how = HybridSettings(
        max_entries=settings.max_entries,
        max_local_age=jwt.max_local_age if jwt.on_introspection_error == "local" else 0.0,
    )
    local = JwtThenIntrospect(verifier, cache, how, monotonic=time.monotonic, wall=time.time)
    client = Comparing(asking, verifier, server=parts.settings.name, observer=observer)
    return replace(_source(parts, settings, cache, client), local=local)


def _settings(parts: ServerParts, mode: str) -> ServerSettings:
    name = source_name(parts.settings.name, mode, {parts.settings.name: parts.server})
    return replace(parts.settings, name=name, mode=mode)


def _source(parts: ServerParts, settings: ServerSettings, cache: TokenCache, client: Introspector) -> Source:
    return Source(name=settings.name, cache=cache, client=client, shape=shape(parts.server.tokens))
