"""The operator's listener: alive, ready, counted; and nothing else."""

from collections.abc import Sequence

import pytest

from extauthz.wire.asgi import Message
from extauthz.wire.ops import OpsDoor
from extauthz.wire.ops_access import Guard
from extauthz.wire.ops_revoke import Name, RevokeDoor
from extauthz.wire.readiness import Readiness


class Bench:
    """The door, its readiness, and a page of metrics."""

    def __init__(self) -> None:
        self.readiness = Readiness()
        page = (b"extauthz_decisions_total 1.0\n", "text/plain; version=1")
        self.door = OpsDoor(self.readiness, lambda: page, RevokeDoor(Guard(str), self.revoke))

    async def revoke(self, names: Sequence[Name]) -> bool:
        raise AssertionError("nobody may")

    async def get(self, path: str, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the body is left unread")

        scope = {"type": "http", "method": method, "path": path, "headers": [], "client": ("192.0.2.1", 1)}
        await self.door(scope, receive, send)
        start, body = sent
        return start["status"], dict(start["headers"]), body["body"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.shows("E67")
async def test_ready_follows_readiness_and_alive_does_not(bench: Bench) -> None:
    """An orchestrator stops sending work while we drain, and does not kill us for it."""
    statuses = [((await bench.get("/livez"))[0], (await bench.get("/readyz"))[0])]
    bench.readiness.start()
    statuses.append(((await bench.get("/livez"))[0], (await bench.get("/readyz"))[0]))
    bench.readiness.drain()
    statuses.append(((await bench.get("/livez"))[0], (await bench.get("/readyz"))[0]))
    assert statuses == [(200, 503), (200, 200), (200, 503)]


async def test_metrics_are_passed_on_as_they_are(bench: Bench) -> None:
    """With the content type that goes with them."""
    status, headers, body = await bench.get("/metrics")
    assert (status, headers[b"content-type"], body) == (
        200,
        b"text/plain; version=1",
        b"extauthz_decisions_total 1.0\n",
    )


@pytest.mark.parametrize("path", ["/", "/livez/", "/LIVEZ", "/metrics/x", "//metrics", "/nginx", ""])
async def test_other_paths_are_not_found(bench: Bench, path: str) -> None:
    """The answer names those that are there."""
    status, _, body = await bench.get(path)
    assert status == 404
    assert b"/livez, /readyz, /metrics, /config, /reload, /revoke or /log" in body


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/revoke", "/nowhere"])
async def test_every_answer_is_whole_and_fresh(bench: Bench, path: str) -> None:
    """Its length is right and no cache may keep it."""
    _, headers, body = await bench.get(path)
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"cache-control"] == b"no-store"
    assert headers.keys() - {b"allow"} == {b"content-length", b"cache-control", b"content-type"}
