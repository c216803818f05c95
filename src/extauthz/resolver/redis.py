"""Redis as we use it: scripts within a time limit, sent together; one server, one behind Sentinel, or a cluster.

The library is read in with the first client, because that takes a fifth of the start and most have no Redis.

Redis is never worth waiting for: what it holds can be asked for elsewhere. No answer in time is trouble, and after some
trouble a circuit breaker keeps everybody away from it for a while. Scripts that come while others are under way are sent
as one pipeline, which takes a third of the time.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from extauthz.resolver.breaker import Breaker
from extauthz.resolver.watched_file import Current, Fixed

MAX_TOGETHER: Final = 64
"""Scripts in one pipeline; the time limit is for all of them."""

_MAX_MESSAGE: Final = 200

_ASKED_IN_VAIN: Final = re.compile(r"> - (?:\w+:)?(\w+)")
"""In the library's words about Sentinels, each of them a `repr`: the type of the error that the first one gave."""

Arguments = Sequence[bytes | str | int]


class Mode(StrEnum):
    """What stands behind the addresses."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files for TLS. `ca`: whose certificates are trusted, the system's when empty; the other two: who we are."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Where Redis is and who we are to it.

    Attributes:
        mode: what stands behind `nodes`.
        nodes: host and port of each; of a single server, one.
        socket: path of the Unix socket of a single server, instead of nodes.
        database: its number; 0 in a cluster.
        service: the name of the master that the Sentinels know.
        username: empty for the default user.
        password: shown nowhere.
        sentinel_password: for the Sentinels themselves.
        tls: None speaks plain text.
        timeout: seconds for one command.
    """

    mode: Mode = Mode.SINGLE
    nodes: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    database: int = 0
    service: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    tls: Tls | None = None
    timeout: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """Those of the settings, or newer ones: asked for with each new connection. An empty one is none."""

    redis: Current[str] = field(repr=False)
    sentinel: Current[str] = field(repr=False)

    @classmethod
    def of(cls, settings: RedisSettings) -> Self:
        """Those of the settings, which never change."""
        return cls(redis=Fixed(settings.password), sentinel=Fixed(settings.sentinel_password))


class _Credentials:
    """A user name and the password of now, as the library asks for them."""

    def __init__(self, username: str, password: Current[str]) -> None:
        self._username = username
        self._password = password

    def get_credentials(self) -> tuple[str, ...]:
        password = self._password()
        return (self._username, password) if self._username else (password,) if password else ()

    async def get_credentials_async(self) -> tuple[str, ...]:
        return self.get_credentials()


class RedisTrouble(Exception):  # noqa: N818 - it names what is met
    """Redis did not do what it was asked for. The message is for the log and holds no secret."""


class _Call(NamedTuple):
    script: str
    keys: Sequence[str]
    arguments: Arguments
    answer: "asyncio.Future[Any]"


class RedisClient:
    """Runs scripts. Owns its connections; `close` gives them back.

    Attributes:
        trouble: what the last pipeline met that failed as a whole, in words for the log; empty before any did.
    """

    def __init__(self, settings: RedisSettings, breaker: Breaker, passwords: "Passwords | None" = None) -> None:
        self._settings = settings
        self._breaker = breaker
        self._redis, *self._others = _connect(settings, passwords or Passwords.of(settings))
        self._waiting: deque[_Call] = deque()
        self._sender: asyncio.Task[None] | None = None
        self.trouble = ""

    async def run(self, script: str, keys: Sequence[str], arguments: Arguments) -> Any:  # noqa: ANN401 - whatever the script returns
        """What the script returns, unless there was too much trouble lately: then it is not even tried.

        Raises:
            RedisTrouble: when there is no answer in time, or an error.
        """
        call = _Call(script, keys, arguments, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return await call.answer

    async def run_alone(self, script: str, keys: Sequence[str], arguments: Arguments, seconds: float) -> Any:  # noqa: ANN401 - whatever the script returns
        """The same with a time limit of its own, whatever happened lately and whatever else is under way.

        Raises:
            RedisTrouble: when there is no answer in time, or an error.
        """
        with _translated_errors(seconds, self._settings.service):
            async with asyncio.timeout(seconds):
                return await self._redis.eval(script, len(keys), *keys, *arguments)

    async def _send(self) -> None:
        while self._waiting:
            calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))]
            answers: Sequence[Any] = [RedisTrouble("closed")] * len(calls)
            try:
                answers = await self._exchange(calls)
            finally:
                for call, answer in zip(calls, answers, strict=True):
                    _deliver(call.answer, answer)

    async def _exchange(self, calls: Sequence[_Call]) -> Sequence[Any]:
        """An answer to each call, which may be trouble."""
        if not self._breaker.allow():
            return [RedisTrouble("left alone after too much trouble")] * len(calls)
        pipeline = self._redis.pipeline(transaction=False)
        for call in calls:
            pipeline.eval(call.script, len(call.keys), *call.keys, *call.arguments)
        try:
            with _translated_errors(self._settings.timeout, self._settings.service):
                async with asyncio.timeout(self._settings.timeout):
                    answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        except RedisTrouble as trouble:
            answers = [trouble] * len(calls)
        if all(isinstance(answer, Exception) for answer in answers):
            self.trouble = _message(answers[0])  # before the circuit opens: whoever tells that tells why
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return answers

    async def close(self) -> None:
        """Close all connections; whoever waits meets trouble."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        for call in self._waiting:
            _deliver(call.answer, RedisTrouble("closed"))
        for client in (self._redis, *self._others):
            await client.aclose()


def _deliver(waiter: "asyncio.Future[Any]", answer: object) -> None:
    if waiter.done():  # the caller has gone away
        return
    if isinstance(answer, Exception):
        waiter.set_exception(RedisTrouble(_message(answer)))
    else:
        waiter.set_result(answer)


@contextmanager
def _translated_errors(seconds: float, service: str) -> Iterator[None]:
    """Whatever Redis and the network do is one kind of trouble."""
    from redis.asyncio.sentinel import MasterNotFoundError  # noqa: PLC0415 - as the head of the module says
    from redis.exceptions import RedisClusterException, RedisError  # noqa: PLC0415 - as the head of the module says

    try:
        yield
    except TimeoutError:
        raise RedisTrouble(f"no answer within {seconds:g} seconds") from None
    except MasterNotFoundError as error:
        raise RedisTrouble(_no_master(service, str(error))[:_MAX_MESSAGE]) from None
    except (RedisError, RedisClusterException, OSError) as error:  # to the library, the second is not one of the first
        raise RedisTrouble(_message(error)) from None


def _message(error: Exception) -> str:
    """For the log. A server that does not know a command repeats what came with it, which may be a password."""
    if isinstance(error, RedisTrouble):
        return str(error)
    return f"{type(error).__name__}: {error}".partition(", with args")[0][:_MAX_MESSAGE]


def _no_master(service: str, library_says: str) -> str:
    sentence = f"no Sentinel names a master {service!r} that is up"
    asked = _ASKED_IN_VAIN.search(library_says)
    return sentence if asked is None else f"{sentence}; one could not be asked: {asked[1]}"


def _connect(settings: RedisSettings, passwords: Passwords) -> Sequence[Any]:
    """A client, and those that it needs besides; none connects before its first command. Their types have no base."""
    from redis.asyncio import Redis  # noqa: PLC0415 - as the head of the module says, and so are the next ones
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    options: dict[str, Any] = {
        "credential_provider": _Credentials(settings.username, passwords.redis),
        "socket_timeout": None,  # one time limit for all of it instead
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 1),  # an idle connection may have been cut: then a new one
        **_tls_options(settings.tls),
    }
    match settings.mode:
        case Mode.SENTINEL:
            own = {**options, "credential_provider": _Credentials("", passwords.sentinel)}
            sentinel = Sentinel(settings.nodes, sentinel_kwargs=own)  # type: ignore[no-untyped-call] # as the library has it
            return sentinel.master_for(settings.service, db=settings.database, **options), *sentinel.sentinels
        case Mode.CLUSTER:
            return (RedisCluster(startup_nodes=[ClusterNode(*node) for node in settings.nodes], **options),)
        case Mode.SINGLE:
            if settings.socket:
                return (Redis(unix_socket_path=settings.socket, db=settings.database, **options),)
            ((host, port),) = settings.nodes
            return (Redis(host=host, port=port, db=settings.database, **options),)


def _tls_options(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": tls.ca or None,
        "ssl_certfile": tls.certificate or None,
        "ssl_keyfile": tls.key or None,
    }
