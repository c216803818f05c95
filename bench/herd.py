"""P5: many requests at once with one token that was never seen, while the authorization server takes its time."""

import selectors
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from bench.authorization_server import AuthorizationServer
from bench.figure import Figure, Progress
from bench.stage import NotAsExpected, Part, Stage
from bench.workload import HOST, path, token

_HERD = 200
_SERVER_MS = 50
_FIRST_TOKEN = 2_000_000
_HERDS_A_ROUND = 3
_LIMIT_SECONDS = 5.0


def measure(stage: Stage, rounds: int, _seconds: float, say: Progress) -> list[Figure]:
    """Herds at one worker, and at two that share a Redis."""
    server, redis = stage.start_server(), stage.start_redis()
    shared = {"shared_cache": {"redis": f"redis://127.0.0.1:{redis}/0", "keys": {"file": "keys"}}}
    alone = [stage.start_extauthz("extauthz herd", server.url(_SERVER_MS))]
    pair = [stage.start_extauthz(f"extauthz sharing {each}", server.url(_SERVER_MS), more=shared) for each in (1, 2)]
    for part in (*alone, *pair):
        part.process.wait_for_http(f"http://127.0.0.1:{part.ops}/readyz")
    time.sleep(1)  # a process trusts what is shared once it has read the log of revocations
    count, shared_count, last, shared_last, floor = [], [], [], [], []
    for number in range(rounds * _HERDS_A_ROUND):
        asked, milliseconds = _herd(alone, server, _FIRST_TOKEN + 2 * number)
        shared_asked, shared_milliseconds = _herd(pair, server, _FIRST_TOKEN + 2 * number + 1)
        count.append(asked)
        last.append(milliseconds)
        shared_count.append(shared_asked)
        shared_last.append(shared_milliseconds)
        floor.append(_floor(server))
        say(
            f"P5: {asked} question, {milliseconds:.0f} ms; two workers {shared_asked}, {shared_milliseconds:.0f} ms; {floor[-1]:.0f}"
        )
    for part in (*alone, *pair):
        part.process.stop()
    title = f"{_HERD} at once, one never-seen token, server at {_SERVER_MS} ms"
    return [
        Figure(key="P5a", title=f"{title}: questions", values=count, target="<= 1", worst=True, digits=0),
        Figure(key="P5b", title="the last of their answers, ms", values=last, target="<= 70", digits=1),
        Figure(
            key="P5c",
            title="the same at two workers that share a Redis: questions",
            values=shared_count,
            target="<= 1",
            worst=True,
            digits=0,
        ),
        Figure(key="P5_shared", title="there, the last of their answers, ms", values=shared_last, digits=1),
        Figure(
            key="P5_floor", title="as many questions straight to the server, last answer, ms", values=floor, digits=1
        ),
    ]


def _herd(parts: Sequence[Part], server: AuthorizationServer, index: int) -> tuple[int, float]:
    """One herd, on connections that are open already: questions to the server, and ms until the last answer."""
    bearer = token(index)
    request = (
        f"GET /nginx HTTP/1.1\r\nHost: {HOST}\r\nX-Original-Method: GET\r\nX-Original-URI: {path(0, 0)}\r\n"
        f"X-Original-Host: {HOST}\r\nAuthorization: Bearer {bearer}\r\n\r\n"
    ).encode()
    before = server.asked()
    milliseconds = _at_once([part.port for part in parts], request)
    return server.asked() - before, milliseconds


def _floor(server: AuthorizationServer) -> float:
    """The same herd without extauthz, each with a question of its own: ms until the last answer."""
    url = urlsplit(server.url(_SERVER_MS))
    assert url.port is not None
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 7\r\n\r\ntoken=a"
    return _at_once([url.port], head.encode())


def _at_once(ports: Sequence[int], request: bytes) -> float:
    """Send it on all connections of a herd; ms until the last answer."""
    with selectors.DefaultSelector() as waiting:
        for number in range(_HERD):
            connection = socket.create_connection(("127.0.0.1", ports[number % len(ports)]), timeout=5)
            waiting.register(connection, selectors.EVENT_READ)
        try:
            return _ask(waiting, request) * 1e3
        finally:
            for key in list(waiting.get_map().values()):
                _socket(key).close()


def _ask(waiting: selectors.BaseSelector, request: bytes) -> float:
    """Send it on all connections; seconds until each has its answer."""
    left = {key.fd for key in waiting.get_map().values()}
    begin = now = time.perf_counter()
    for key in list(waiting.get_map().values()):
        _socket(key).sendall(request)
    while left:
        for key, _ in waiting.select(_LIMIT_SECONDS):
            answer = _socket(key).recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise NotAsExpected(f"P5: a request of the herd was answered {answer[:100]!r}")
            left.discard(key.fd)
        now = time.perf_counter()
        if now > begin + _LIMIT_SECONDS:
            raise NotAsExpected(f"P5: {len(left)} requests of the herd have no answer after {_LIMIT_SECONDS:g} s")
    return now - begin


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
