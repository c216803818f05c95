"""Unary gRPC in ASGI messages: the five bytes before a message, the status after it, and everything that is neither."""

import pytest
from hypothesis import given, strategies as st

from extauthz.wire.asgi import Message, Scope
from extauthz.wire.envoy.grpc_asgi import GrpcMethod

POST: Scope = {"type": "http", "method": "POST", "path": "/a.Service/Method", "headers": []}
GONE: Message = {"type": "http.disconnect"}
OK, NOT_FOUND, UNIMPLEMENTED, INTERNAL = b"0", b"5", b"12", b"13"


class Echo:
    """A method that answers what it was asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.traces: list[str] = []

    async def __call__(self, message: bytes, _deadline: float | None, trace: str) -> bytes | None:
        self.asked.append(message)
        self.traces.append(trace)
        return None if message == b"who?" else message


class Call:
    """One call: what was put in, what came out."""

    def __init__(self, *received: Message) -> None:
        self.echo = Echo()
        self.waiting = list(received)
        self.sent: list[Message] = []

    async def make(self, scope: Scope = POST) -> "Call":
        await GrpcMethod(self.echo)(scope, self.receive, self.send)
        return self

    async def receive(self) -> Message:
        return self.waiting.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> bytes:
        """`grpc-status`, from wherever it may stand; exactly one."""
        headers: list[tuple[bytes, bytes]] = [pair for message in self.sent for pair in message.get("headers", ())]
        (status,) = [value for name, value in headers if name == b"grpc-status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def frame(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def call(body: bytes) -> Call:
    return await Call(piece(body)).make()


async def test_an_answer_is_a_head_a_frame_and_a_status() -> None:
    """In this order, the status in the trailers."""
    made = await call(frame(b"hello"))
    assert made.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/grpc")],
            "trailers": True,
        },
        {"type": "http.response.body", "body": frame(b"hello")},
        {"type": "http.response.trailers", "headers": [(b"grpc-status", OK)], "more_trailers": False},
    ]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 200_000])
async def test_a_message_has_any_length(size: int) -> None:
    """Four bytes, the highest first."""
    made = await call(frame(b"x" * size))
    assert made.echo.asked == [b"x" * size]
    assert made.body == frame(b"x" * size)


@pytest.mark.parametrize("cut", [0, 1, 4, 5, 6, 9])
async def test_a_message_may_come_in_pieces(cut: int) -> None:
    """The prefix too may be cut."""
    whole = frame(b"hello")
    made = await Call(piece(whole[:cut], more=True), piece(b"", more=True), piece(whole[cut:])).make()
    assert made.echo.asked == [b"hello"]


async def test_an_asgi_message_may_leave_out_what_is_empty() -> None:
    """`body` and `more_body` have defaults."""
    made = await Call({"type": "http.request", "more_body": True}, {"type": "http.request", "body": frame(b"x")}).make()
    assert made.echo.asked == [b"x"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", INTERNAL),
        (b"\0", INTERNAL),
        (b"\0\0\0\0", INTERNAL),
        (b"\0\0\0\0\1", INTERNAL),
        (frame(b"hello")[:-1], INTERNAL),
        (frame(b"hello") + b"x", INTERNAL),
        (frame(b"hello") * 2, INTERNAL),
        (b"\0\xff\xff\xff\xffhello", INTERNAL),
        (b"hello", INTERNAL),
        (frame(b"hello", flag=1), UNIMPLEMENTED),
        (frame(b"hello", flag=2), UNIMPLEMENTED),
        (frame(b"hello", flag=255), UNIMPLEMENTED),
    ],
    ids=[
        "empty", "one byte", "four bytes", "no message", "cut short", "too long", "two messages", "4 GiB announced",
        "no prefix", "compressed", "unknown flag", "all flags",
    ],
)  # fmt: skip
async def test_what_is_not_one_plain_message_is_refused(body: bytes, status: bytes) -> None:
    """With a status and no message; the method is not called."""
    made = await call(body)
    assert (made.status, made.body, made.echo.asked) == (status, b"", [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_only_post_is_grpc(method: str) -> None:
    """The body, if any, is not waited for."""
    made = await Call().make({**POST, "method": method})
    assert (made.status, made.echo.asked) == (UNIMPLEMENTED, [])


async def test_no_answer_is_not_found() -> None:
    """The method does not know what it was asked about."""
    made = await call(frame(b"who?"))
    assert (made.status, made.body) == (NOT_FOUND, b"")


@pytest.mark.parametrize("body", [b"", b"who?", frame(b"who?")])
async def test_a_failure_is_a_head_with_a_status(body: bytes) -> None:
    """HTTP 200 and a content type, or clients would not read the status at all."""
    start, end = (await call(body)).sent
    assert (start["type"], start["status"], start.get("trailers", False)) == ("http.response.start", 200, False)
    assert (b"content-type", b"application/grpc") in start["headers"]
    assert end == {"type": "http.response.body", "body": b""}


@pytest.mark.parametrize(
    "received",
    [[GONE], [piece(b"", more=True), GONE], [piece(frame(b"hello")[:-1], more=True), GONE]],
    ids=["at once", "before the message", "within the message"],
)
async def test_a_caller_that_went_away_gets_nothing(received: list[Message]) -> None:
    """Half a message is not a question."""
    made = await Call(*received).make()
    assert (made.sent, made.echo.asked) == ([], [])


async def test_a_message_with_more_behind_it_is_read_to_the_end_and_refused() -> None:
    """A second message in a unary call is nobody's."""
    made = await Call(piece(frame(b"hello") + b"x", more=True), piece(b"y")).make()
    assert (made.status, made.echo.asked) == (INTERNAL, [])


@given(body=st.binary() | st.binary().map(frame))
async def test_every_body_has_exactly_one_status(body: bytes) -> None:
    """Whatever comes in, the caller learns how it ended."""
    made = await call(body)
    assert (made.status == OK) == (made.body == frame(made.echo.asked[0]) if made.echo.asked else False)


async def test_the_trace_of_the_call_is_handed_on() -> None:
    """Envoy puts it into the metadata of its question."""
    headers = [*POST["headers"], (b"traceparent", b"00-a-b-01")]
    call = await Call(piece(frame(b"x"))).make({**POST, "headers": headers})
    assert call.echo.traces == ["00-a-b-01"]


async def test_a_whole_message_is_answered_at_once() -> None:
    """A caller that has not yet said that nothing follows is not waited for."""
    made = await Call(piece(frame(b"hello"), more=True)).make()
    assert made.echo.asked == [b"hello"]
