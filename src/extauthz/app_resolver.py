"""The composition of what processes share: keys, the cache in Redis, and the log of revocations.

with `shared_cache`                     processes of all hosts share a cache and a stream, and the keys of the file
without, several workers                they share a log in their folder, and a key that their supervisor made
without, one process                    nothing is shared, and the key is made now
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from extauthz.config.credentials import SecretSource
from extauthz.config.load import ServiceConfig
from extauthz.config.own_secrets import OwnSecrets
from extauthz.config.secret import Secret
from extauthz.config.sharing import SharedCache as SharedCacheSection
from extauthz.keyfiles import UnusableError, read_secret, read_shared_keys
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.breaker import Breaker, BreakerSettings, State
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.redis import Mode, Passwords, RedisClient, RedisSettings, Tls
from extauthz.resolver.revocation import Kind, Revocations
from extauthz.resolver.revocation_feed import RevocationFeed
from extauthz.resolver.revocation_log import RedisLog, RevocationLog
from extauthz.resolver.sealing import SECRET_BYTES, Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_cache import SharedCache
from extauthz.resolver.watched_file import LOOK_SECONDS, Current, Fixed, Watched

SECRET_FILE: Final = "secret"  # noqa: S105 - its name
LOG_FILE: Final = "revocations"

_REDIS_CIRCUIT: Final = BreakerSettings(failures=5, window=10, open_seconds=0.5, max_open_seconds=5.0)
_STATES: Final = {State.OPEN: Happening.SHARED_CACHE_DOWN, State.CLOSED: Happening.SHARED_CACHE_BACK}


def own_certificate(config: ServiceConfig) -> Path | None:
    """The file of the one that Redis is shown. Others take a restart, as all files of this section do."""
    section = config.settings.shared_cache
    if section is None or not section.redis[0].tls or section.tls.certificate is None:
        return None
    return config.folder / section.tls.certificate


def prepare(folder: Path) -> None:
    """Make what the workers of one supervisor share, in a folder that nobody else may enter."""
    path = folder / SECRET_FILE
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(SECRET_BYTES))


class Sharing:
    """Makes what the caches of this process need.

    Attributes:
        revocations: notices, for all of them.
        feed: what brings notices; runs in the background.
    """

    def __init__(self, config: ServiceConfig, observer: Observer, together: Path | None) -> None:
        section, own = config.settings.shared_cache, config.own
        self._observer = observer
        self._owner = secrets.token_hex(16)
        self._prefix = "" if section is None else section.prefix
        self._redis = None if section is None else _redis(section, own, config.folder, observer)
        self._secrets = _secrets(section, own, config.folder, together, observer)
        self._keyring = [Keys.derive(secret) for secret in self._secrets()]
        self._caches: list[TokenCache] = []
        self._shared: list[SharedCache] = []
        self.revocations = Revocations(*(keys.name_hash for keys in self._keyring))
        self.feed = RevocationFeed(
            self.revocations,
            self._log(together),
            keyring=self._keyring,
            observer=observer,
            monotonic=time.monotonic,
        )

    @property
    def shares_cache(self) -> bool:
        """Whether there is a cache that processes share."""
        return self._redis is not None

    def cache(self, settings: ServerSettings) -> TokenCache:
        """The memory of this process for one server."""
        newest, *older = (keys.tokens for keys in self._keyring)
        cache = TokenCache(
            settings,
            secret=newest,
            older=older,
            monotonic=time.monotonic,
            wall=time.time,
            revocations=self.revocations,
        )
        self._caches.append(cache)
        return cache

    def shared(self, settings: ServerSettings, cache: TokenCache) -> SharedCache | None:
        """The memory of all processes for it, if they have one."""
        if self._redis is None:
            return None
        shared = SharedCache(
            settings,
            cache=cache,
            redis=self._redis,
            keyring=self._keyring,
            prefix=self._prefix,
            owner=self._owner,
            observer=self._observer,
            monotonic=time.monotonic,
            wall=time.time,
        )
        self._shared.append(shared)
        return shared

    async def follow_keys(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Use what the file of keys says, whenever it has changed, until cancelled."""
        while True:
            await sleep(LOOK_SECONDS)
            if self._secrets.look():
                self._rotate([Keys.derive(secret) for secret in self._secrets()])

    def _rotate(self, keyring: list[Keys]) -> None:
        self._keyring = keyring
        newest, *older = (keys.tokens for keys in keyring)
        self.revocations.rotate(*(keys.name_hash for keys in keyring))
        self.feed.rotate(keyring)
        for cache in self._caches:
            cache.rotate(newest, older)
        for shared in self._shared:
            shared.rotate(keyring)

    async def revoke(self, names: Sequence[tuple[str, str]]) -> bool:
        """Forget what is named, here and elsewhere; False when others could not be told yet."""
        return await self.feed.revoke((Kind(kind), name) for kind, name in names)

    async def close(self) -> None:
        """Close files and connections."""
        await self.feed.close()
        if self._redis is not None:
            await self._redis.close()

    def _log(self, together: Path | None) -> RevocationLog | None:
        if self._redis is not None:
            return RedisLog(self._redis, prefix=self._prefix)
        if together is None:
            return None
        from extauthz.resolver.revocation_file import FileLog  # noqa: PLC0415 - one process alone needs no SQLite

        return FileLog(together / LOG_FILE)


def _secrets(
    section: SharedCacheSection | None, own: OwnSecrets, folder: Path, together: Path | None, observer: Observer
) -> Current[tuple[bytes, ...]]:
    """The secrets that keys are made of; those of a file may change, as long as one of them stays."""
    if section is None:
        return Fixed((_secret(together),))
    if section.keys.file is None:
        return Fixed(own.shared_keys)
    path, known = folder / section.keys.file, own.shared_keys

    def read() -> tuple[bytes, ...]:
        nonlocal known
        found = read_shared_keys(path)
        if not {*found} & {*known}:  # until all have changed, notices of one would not reach the other
            raise UnusableError("none of the keys until now is among the new ones: add one before you remove one")
        known = found
        return found

    return Watched("shared_cache", (path,), read, observer=observer, monotonic=time.monotonic)


def _secret(together: Path | None) -> bytes:
    return secrets.token_bytes(SECRET_BYTES) if together is None else (together / SECRET_FILE).read_bytes()


def _redis(section: SharedCacheSection, own: OwnSecrets, folder: Path, observer: Observer) -> RedisClient:
    def tell(state: State) -> None:
        if state in _STATES:
            why = client.trouble if state is State.OPEN else ""
            observer.happened(Happened(what=_STATES[state], subject="redis", detail=why))

    def current(source: SecretSource | None, now: Secret | None) -> Current[str]:
        if source is None or source.file is None:
            return Fixed("" if now is None else now.reveal())
        path = folder / source.file
        return Watched("redis", (path,), lambda: read_secret(path), observer=observer, monotonic=time.monotonic)

    passwords = Passwords(
        redis=current(section.password, own.redis_password),
        sentinel=current(section.sentinel_password, own.sentinel_password),
    )
    breaker = Breaker(_REDIS_CIRCUIT, time.monotonic, on_change=tell)
    client = RedisClient(_redis_settings(section, own, folder), breaker, passwords)
    return client


def _redis_settings(section: SharedCacheSection, own: OwnSecrets, folder: Path) -> RedisSettings:
    first = section.redis[0]
    ca, certificate, key = (
        "" if name is None else str(folder / name)
        for name in (section.tls.ca, section.tls.certificate, section.tls.key)
    )
    return RedisSettings(
        mode=Mode(section.mode),
        nodes=() if first.path else tuple((url.host, url.port) for url in section.redis),
        socket=first.path,
        database=first.database,
        service=section.service or "",
        username=section.username or "",
        password="" if own.redis_password is None else own.redis_password.reveal(),
        sentinel_password="" if own.sentinel_password is None else own.sentinel_password.reveal(),
        tls=Tls(ca=ca, certificate=certificate, key=key) if first.tls else None,
        timeout=section.timeout,
    )
