"""HTTP to one authorization server: bounded answers, no redirects, no cookies, no proxies from the environment.

A request goes straight to httpx's transport. All that its client would do on the way is what we do not want, and it costs
as much as the request.
"""

import ssl
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final, TypeVar, cast

import httpx

from extauthz.core.introspection import MAX_ANSWER_BYTES, Answer
from extauthz.core.trace import TRACEPARENT
from extauthz.keyfiles import TlsFiles, tls_context
from extauthz.resolver.http1 import HungUpError
from extauthz.resolver.tracing import TRACE
from extauthz.resolver.watched_file import Current
from extauthz.resolver.wire import Wire

_HEADERS: Final = httpx.Headers({"accept": "application/json", "accept-encoding": "identity", "user-agent": "extauthz"})
_CONTENT_TYPE: Final = "application/x-www-form-urlencoded"

T = TypeVar("T")
MakesWire = Callable[[ssl.SSLContext | None], httpx.AsyncBaseTransport]
"""Makes what carries the requests, with these TLS settings or with the usual ones. Its answers come whole."""


class _Connections:
    """What carries requests, and how many it carries now."""

    def __init__(self, wire: httpx.AsyncBaseTransport) -> None:
        self.wire = wire
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
        self, *, max_connections: int = 100, tls: Current[ssl.SSLContext] | None = None, wire: MakesWire | None = None
    ) -> None:
        self._tls = tls
        self._wire = wire or (lambda context: Wire(max_connections, context or tls_context(TlsFiles())))
        self._context: ssl.SSLContext | None = None if tls is None else tls()
        self._now = self._connect()

    async def get(self, url: str) -> Answer:
        """The answer to a GET, its body cut off soon after `MAX_ANSWER_BYTES`. Raises what the network raises."""
        return await again_if_hung_up(lambda: self._request("GET", url, b"", _HEADERS, MAX_ANSWER_BYTES))

    async def post(
        self, url: str, form: str, authorization: str = "", *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """The answer to a form, likewise. Not repeated: what the form carries may be good for one use."""
        headers = _form_headers(authorization)
        if trace := TRACE.get():
            headers = httpx.Headers([*headers.raw, (TRACEPARENT.encode(), trace.encode("ascii"))])
        return await self._request("POST", url, form.encode("ascii"), headers, max_answer_bytes)

    async def _request(
        self, method: str, url: str, content: bytes, headers: httpx.Headers, max_answer_bytes: int
    ) -> Answer:
        if self._tls is not None and (context := self._tls()) is not self._context:
            old, self._context, self._now = self._now, context, self._connect(context)
            await _close_if_idle(old)
        mine = self._now
        mine.users += 1
        try:
            stream = httpx.ByteStream(content)  # to which httpx adds no headers: the wire does it
            how = {"max_bytes": max_answer_bytes}
            request = httpx.Request(method, _parsed(url), headers=headers, stream=stream, extensions=how)
            return _read(await mine.wire.handle_async_request(request))
        finally:
            mine.users -= 1
            if mine is not self._now:
                await _close_if_idle(mine)

    def _connect(self, context: ssl.SSLContext | None = None) -> _Connections:
        return _Connections(self._wire(context or self._context))

    async def close(self) -> None:
        """Close all connections."""
        await self._now.wire.aclose()


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


@lru_cache(maxsize=8)  # old credentials do not stay for long
def _form_headers(authorization: str) -> httpx.Headers:
    """Of a form that is posted with these credentials; not to be changed."""
    return httpx.Headers(
        {**_HEADERS, "content-type": _CONTENT_TYPE} | ({"authorization": authorization} if authorization else {})
    )


async def _close_if_idle(connections: _Connections) -> None:
    if connections.users == 0:
        await connections.wire.aclose()


def _read(response: httpx.Response) -> Answer:
    told: dict[bytes, list[bytes]] = {b"content-encoding": [], b"content-type": [], b"retry-after": []}
    for key, value in response.headers.raw:  # `headers` itself would first guess how they are encoded, each time
        if (values := told.get(key.lower())) is not None:
            values.append(value)
    encoding, content_type, retry_after = (b", ".join(values).decode("latin-1") for values in told.values())
    return Answer(
        status=response.status_code,
        content_type=content_type if encoding in ("", "identity") else "",
        body=b"".join(cast("httpx.ByteStream", response.stream)),
        retry_after=retry_after,
    )


async def again_if_hung_up(send: Callable[[], Awaitable[T]]) -> T:
    """Send, once more if the server hung up: it may have closed an idle connection just as we took it.

    Our requests change nothing at a server, so sending twice does no harm.
    """
    try:
        return await send()
    except HungUpError:
        return await send()
