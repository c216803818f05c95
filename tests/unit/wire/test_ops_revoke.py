"""Who may revoke, what can be said, and what is refused."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

import pytest

from extauthz.wire.asgi import Message
from extauthz.wire.ops_access import MAX_BODY_BYTES, Answer, Guard
from extauthz.wire.ops_revoke import MAX_NAMES, Name, RevokeDoor

SECRET = "a-secret-of-the-operator"
FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"


class Bench:
    """The door, and what it passed on."""

    def __init__(self, secret: str = SECRET) -> None:
        self.door = RevokeDoor(Guard(lambda: secret), self.revoke)
        self.revoked: list[Name] = []
        self.reached = True

    async def revoke(self, names: Sequence[Name]) -> bool:
        self.revoked += names
        return self.reached

    async def post(
        self,
        body: bytes,
        content_type: bytes = FORM,
        *,
        method: str = "POST",
        authorization: bytes | None = b"Bearer " + SECRET.encode(),
        pieces: int = 1,
    ) -> Answer:
        headers = [(b"Content-Type", content_type)]
        if authorization is not None:
            headers.append((b"Authorization", authorization))
        size = len(body) // pieces + 1
        messages: list[Message] = [
            {"type": "http.request", "body": body[at : at + size], "more_body": at + size < len(body)}
            for at in range(0, max(1, len(body)), size)
        ]

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        return await self.door.answer({"type": "http", "method": method, "headers": headers}, receive)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def form(*pairs: tuple[str, str]) -> bytes:
    return urlencode(pairs).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "names"),
    [
        (form(("token", "a+b/c=")), FORM, [("token", "a+b/c=")]),
        (form(("sub", "ü"), ("sub", "b"), ("jti", "j")), FORM, [("sub", "ü"), ("sub", "b"), ("jti", "j")]),
        (form(("all", "true")), FORM + b"; charset=utf-8", [("all", "")]),
        (b'{"client_id": "app"}', JSON, [("client_id", "app")]),
        (b'{"sub": ["a", "b"], "all": true}', JSON, [("sub", "a"), ("sub", "b"), ("all", "")]),
    ],
)
async def test_what_is_named_is_revoked(bench: Bench, body: bytes, content_type: bytes, names: list[Name]) -> None:
    """By form or by JSON, several at once, in however many pieces it comes."""
    for pieces in (1, 3):
        bench.revoked.clear()
        assert (await bench.post(body, content_type, pieces=pieces)).status == 200
        assert bench.revoked == names


async def test_it_says_when_others_could_not_be_told(bench: Bench) -> None:
    """Whoever asked can ask again."""
    bench.reached = False
    answer = await bench.post(form(("sub", "u1")))
    assert (answer.status, dict(answer.headers)) == (503, {b"retry-after": b"1"})
    assert bench.revoked == [("sub", "u1")]


@pytest.mark.parametrize(
    "authorization",
    [None, b"", b"Bearer", b"Bearer ", b"Bearer wrong", b"Basic " + SECRET.encode(), SECRET.encode(), b"Bearer \xff"],
)
async def test_whoever_does_not_know_the_secret_is_refused(bench: Bench, authorization: bytes | None) -> None:
    """The body is not even read."""
    answer = await bench.post(b"not read", b"x", authorization=authorization)
    assert (answer.status, dict(answer.headers)) == (401, {b"www-authenticate": b"Bearer"})
    assert bench.revoked == []


@pytest.mark.parametrize("authorization", [None, b"Bearer ", b"Bearer", b"Bearer x"])
async def test_without_a_secret_in_the_file_nobody_may(authorization: bytes | None) -> None:
    """An empty one is not guessed by sending nothing."""
    bench = Bench("")
    answer = await bench.post(form(("all", "true")), authorization=authorization)
    assert answer.status == 403
    assert "ops: {token" in answer.text
    assert bench.revoked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_post_revokes(bench: Bench, method: str) -> None:
    """A link does not."""
    answer = await bench.post(form(("all", "true")), method=method)
    assert (answer.status, dict(answer.headers)) == (405, {b"allow": b"POST"})
    assert bench.revoked == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORM, 400),
        (b"token=", FORM, 400),
        (b"token", FORM, 400),
        (b"sub=a%00b", FORM, 400),
        (b"sub=%ff", FORM, 400),
        ("sub=ü".encode(), FORM, 400),
        (b"all=yes", FORM, 400),
        (b"all=true&all=true", FORM, 400),
        (b"sub=a&session=b", FORM, 400),
        (b"{}", JSON, 400),
        (b"[]", JSON, 400),
        (b"nonsense", JSON, 400),
        (b'"sub"', JSON, 400),
        (b'{"sub": 1}', JSON, 400),
        (b'{"sub": [1]}', JSON, 400),
        (b'{"sub": {"a": "b"}}', JSON, 400),
        (b'{"sub": "\\ud800"}', JSON, 400),
        (b'{"all": false}', JSON, 400),
        (b"[" * 50_000, JSON, 400),
        (json.dumps({"sub": ["a"] * (MAX_NAMES + 1)}).encode(), JSON, 400),
        (b"sub=" + b"a" * MAX_BODY_BYTES, FORM, 413),
        (b"sub=a", b"text/plain", 415),
        (b"sub=a", b"", 415),
    ],
)
async def test_what_is_not_understood_completely_is_not_done_at_all(
    bench: Bench, body: bytes, content_type: bytes, status: int
) -> None:
    """Nothing of it."""
    assert (await bench.post(body, content_type)).status == status
    assert bench.revoked == []


async def test_a_request_that_breaks_off_revokes_nothing(bench: Bench) -> None:
    """What came of it may be less than was meant."""
    body = form(("sub", "a"))
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    headers = [(b"authorization", b"bearer " + SECRET.encode()), (b"content-type", FORM)]
    answer = await bench.door.answer({"type": "http", "method": "POST", "headers": headers}, receive)
    assert answer.status == 400
    assert bench.revoked == []
