"""The two paths about reloading, before the operator's other ones."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from extauthz.wire.asgi import Message, Receive, Scope, Send, respond
from extauthz.wire.ops_access import Guard
from extauthz.wire.ops_reload import ReloadDoor

SECRET = "a-secret-of-the-operator"


class Bench:
    """The door; `result` is what all workers do when asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.result = "reloaded"
        describe = {"policy": {"generation": 3}}
        self.door = ReloadDoor(self.others, Guard(lambda: SECRET), ask=self.ask, describe=lambda: describe)

    async def ask(self) -> Mapping[str, Any]:
        self.asked += 1
        return {"result": self.result, "workers": []}

    async def others(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 418, [], b"others")

    async def request(self, path: str, method: str = "POST", shown: str = SECRET) -> tuple[int, bytes]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the body is left unread")

        headers = [(b"Authorization", f"Bearer {shown}".encode())]
        await self.door({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
        start, body = sent
        return start["status"], body["body"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("result", "status"), [("reloaded", 200), ("unchanged", 200), ("refused", 422), ("mixed", 503), ("none", 503)]
)
async def test_the_answer_says_what_was_done(bench: Bench, result: str, status: int) -> None:
    """In its status too."""
    bench.result = result
    assert await bench.request("/reload") == (
        status,
        json.dumps({"result": result, "workers": []}, indent=2).encode() + b"\n",
    )
    assert bench.asked == 1


async def test_who_may_not_reloads_nothing(bench: Bench) -> None:
    """Wrong token, wrong method."""
    assert (await bench.request("/reload", shown="x"))[0] == 401
    assert (await bench.request("/reload", method="GET"))[0] == 405
    assert bench.asked == 0


async def test_all_may_look(bench: Bench) -> None:
    """As at the metrics."""
    status, body = await bench.request("/config", method="GET", shown="")
    assert (status, json.loads(body)) == (200, {"policy": {"generation": 3}})


async def test_other_paths_are_passed_on(bench: Bench) -> None:
    """Whatever they are."""
    assert await bench.request("/metrics", method="GET") == (418, b"others")
