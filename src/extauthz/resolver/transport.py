"""HTTP to one authorization server: bounded answers, no redirects, no cookies, no proxies from the environment."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, TypeVar

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from extauthz.core.introspection import MAX_ANSWER_BYTES, Answer
from extauthz.core.trace import TRACEPARENT
from extauthz.resolver.tracing import TRACE
from extauthz.resolver.watched_file import Current

KEEPALIVE_SECONDS: Final = 30.0

_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "extauthz"}
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}

T = TypeVar("T")

Wire = Callable[[ssl.SSLContext | None], httpx.AsyncBaseTransport]
"""Makes what carries the requests, with these TLS settings or with the usual ones."""


class _Connections:
    """An HTTP client, and how many requests it carries now."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.users = 0


class Transport:
    """Carries requests to one authorization server. Owns its connections; `close` gives them back.

    When the certificates change, new requests take new connections, and the old ones are closed once nobody uses them.

    Args:
        max_connections: open at once.
        tls: how to talk TLS; None for the usual way.
        wire: what carries the requests, in tests.
    """

    def __init__(
        self, *, max_connections: int = 100, tls: Current[ssl.SSLContext] | None = None, wire: Wire | None = None
    ) -> None:
        self._tls = tls
        self._wire = wire or (lambda context: _aiohttp(max_connections, context))
        self._context: ssl.SSLContext | None = None if tls is None else tls()
        self._now = self._connect()

    async def get(self, url: str) -> Answer:
        """The answer to a GET, its body cut off soon after `MAX_ANSWER_BYTES`. Raises what the network raises."""
        return await again_if_hung_up(lambda: self._request("GET", url, None, _HEADERS, MAX_ANSWER_BYTES))

    async def post(
        self, url: str, form: str, authorization: str = "", *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """The answer to a form, likewise. Not repeated: what the form carries may be good for one use."""
        headers = _HEADERS | _FORM | ({"authorization": authorization} if authorization else {})
        if trace := TRACE.get():
            headers[TRACEPARENT] = trace
        return await self._request("POST", url, form.encode("ascii"), headers, max_answer_bytes)

    async def _request(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], max_answer_bytes: int
    ) -> Answer:
        body = bytearray()
        async with (
            self._client() as http,
            http.stream(method, url, content=content, headers=headers) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_answer_bytes:
                    break
            encoded = response.headers.get("content-encoding", "identity") != "identity"
            return Answer(
                status=response.status_code,
                content_type="" if encoded else response.headers.get("content-type", ""),
                body=bytes(body),
                retry_after=response.headers.get("retry-after", ""),
            )

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        if self._tls is not None and (context := self._tls()) is not self._context:
            old, self._context, self._now = self._now, context, self._connect(context)
            await _close_if_idle(old)
        mine = self._now
        mine.users += 1
        try:
            yield mine.http
        finally:
            mine.users -= 1
            if mine is not self._now:
                await _close_if_idle(mine)

    def _connect(self, context: ssl.SSLContext | None = None) -> _Connections:
        return _Connections(
            httpx.AsyncClient(
                transport=self._wire(context or self._context),
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
                follow_redirects=False,
                trust_env=False,
                timeout=None,  # noqa: S113 - who asks has one deadline for all of it
            )
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._now.http.aclose()


async def _close_if_idle(connections: _Connections) -> None:
    if connections.users == 0:
        await connections.http.aclose()


async def again_if_hung_up(send: Callable[[], Awaitable[T]]) -> T:
    """Send, once more if the server hung up: it may have closed an idle connection just as we took it.

    Our requests change nothing at a server, so sending twice does no harm.
    """
    try:
        return await send()
    except httpx.TransportError as error:
        if not _hung_up(error):
            raise
        return await send()


def _hung_up(error: httpx.TransportError) -> bool:
    """Whether an open connection broke, as against one that could not be opened."""
    cause = error.__cause__
    broke = isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    return broke and not isinstance(cause, aiohttp.ClientConnectorError)


def _aiohttp(max_connections: int, context: ssl.SSLContext | None) -> AiohttpTransport:
    """Runs httpx on aiohttp: nine times cheaper per call than httpx's own transport at this concurrency."""
    transport = AiohttpTransport(verify=True if context is None else context, trust_env=False)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections, keepalive_timeout=KEEPALIVE_SECONDS, ssl=transport.ssl_context
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport.client = session
    return transport
