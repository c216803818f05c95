"""Who may set the level, and to what."""

import pytest

from extauthz.wire.asgi import Message
from extauthz.wire.ops_access import Answer, Guard
from extauthz.wire.ops_log import LEVELS, LogDoor

SECRET = "a-secret-of-the-operator"


class Bench:
    """The door, and what it set."""

    def __init__(self, secret: str = SECRET) -> None:
        self.levels: list[str] = []
        self.door = LogDoor(Guard(lambda: secret), self.levels.append)

    async def post(
        self, body: bytes, *, method: str = "POST", authorization: str | None = f"Bearer {SECRET}"
    ) -> Answer:
        headers = [] if authorization is None else [(b"Authorization", authorization.encode())]

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.door.answer({"type": "http", "method": method, "headers": headers}, receive)


@pytest.mark.parametrize("level", LEVELS)
async def test_whoever_shows_the_token_sets_the_level(level: str) -> None:
    """A line feed behind it is forgiven: `curl --data-binary` of a file has one."""
    bench = Bench()
    assert await bench.post(f"{level}\n".encode()) == Answer(200, level)
    assert bench.levels == [level]


@pytest.mark.parametrize("body", [b"", b"verbose", b"DEBUG", b"debug info", b"level=debug", b"\xff", b"x" * 70_000])
async def test_any_other_word_changes_nothing(body: bytes) -> None:
    """The answer says which there are."""
    bench = Bench()
    answer = await bench.post(body)
    assert answer.status == (413 if len(body) > 1000 else 400)
    assert bench.levels == []


@pytest.mark.parametrize(
    ("secret", "method", "authorization", "status"),
    [
        (SECRET, "GET", f"Bearer {SECRET}", 405),
        (SECRET, "POST", None, 401),
        (SECRET, "POST", f"Bearer {SECRET}x", 401),
        (SECRET, "POST", f"Basic {SECRET}", 401),
        ("", "POST", "Bearer ", 403),
    ],
)
async def test_nobody_else_does(secret: str, method: str, authorization: str | None, status: int) -> None:
    """Without a token in the configuration nobody at all: at level debug a log grows fast."""
    bench = Bench(secret)
    assert (await bench.post(b"debug", method=method, authorization=authorization)).status == status
    assert bench.levels == []
