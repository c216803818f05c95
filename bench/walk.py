"""A gRPC client for measuring: one HTTP/2 connection, 64 calls in flight, and each call with a message of its own.

h2load sends one body over and over, and client libraries cost more for each call than the servers that are measured
here. This one speaks just enough HTTP/2: frames that are nearly all prepared, no header is decoded, and an answer is
told from a refusal by the first two bytes of its message. About 4 µs of CPU for a call.
"""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from bench.load import Load, percentile
from extauthz.wire.envoy.service import CHECK_PATH

IN_FLIGHT = 64

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_FRAME = struct.Struct(">BHBBI")
_FIRST_OWN_INDEX = 62
"""Of the header table: below it are the entries that HTTP/2 fixes (RFC 7541 appendix A)."""

_DEFAULT_WINDOW = 65_535
_LARGEST_WINDOW = 2**31 - 1
_ALLOWED = b"\n\0"
"""How a CheckResponse begins when `status` is there and its code is 0."""

_HEADER_LINES = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", CHECK_PATH.encode()),
    (b":authority", b"extauthz"),
    (b"te", b"trailers"),
    (b"grpc-timeout", b"1000m"),
    (b"content-type", b"application/grpc"),
)


class ConnectionLost(Exception):  # noqa: N818 - it says what happened
    """The server ended the connection or reset a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What one walk saw.

    Attributes:
        waits: the number of each question, from 0 on, and the seconds until its answer, in the order of the answers.
        allowed: answers that let a request pass.
        seconds: how long it took.
    """

    waits: list[tuple[int, float]]
    allowed: int
    seconds: float


def walk(
    port: int, question: Callable[[int], bytes], seconds: float, *, first: int = 0, at_least: int = IN_FLIGHT
) -> Load:
    """Ask question after question for so long, and until at least so many are answered; wait for every answer."""
    walked = record(port, question, seconds, first=first, at_least=at_least)
    waits = sorted(wait for _, wait in walked.waits)
    return Load(
        requests=len(waits),
        seconds=walked.seconds,
        wrong=len(waits) - walked.allowed,
        p50_ms=percentile(waits, 50) * 1e3,
        p99_ms=percentile(waits, 99) * 1e3,
        p999_ms=percentile(waits, 99.9) * 1e3,
    )


def record(
    port: int,
    question: Callable[[int], bytes],
    seconds: float,
    *,
    first: int = 0,
    at_least: int = IN_FLIGHT,
    in_flight: int = IN_FLIGHT,
) -> Walked:
    """The same, with every wait by itself and `in_flight` calls at once; questions are numbered from `first` on."""
    waits: list[tuple[int, float]] = []
    number = first
    with _Connection(port) as connection:
        begin = now = time.perf_counter()
        room = in_flight
        while room < in_flight or number - first < at_least or now < begin + seconds:
            if number - first < at_least or now < begin + seconds:
                number += connection.ask([question(each) for each in range(number, number + room)], now)
                room = 0
            waits += connection.answers()
            now = time.perf_counter()
            room = in_flight - connection.waiting
    return Walked(waits=waits, allowed=connection.allowed, seconds=now - begin)


class _Connection:
    """Calls on one connection.

    Attributes:
        allowed: answers that let a request pass.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._stream = 1
        self._head = b"".join(_literal(*line) for line in _HEADER_LINES)
        self._credit = _DEFAULT_WINDOW
        self._asked: dict[int, float] = {}
        self.allowed = 0

    def __enter__(self) -> Self:
        settings = struct.pack(">HIHI", 3, IN_FLIGHT, 4, _LARGEST_WINDOW)
        window = struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings)
        self._socket.sendall(preface + _frame(_WINDOW_UPDATE, 0, 0, window))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def waiting(self) -> int:
        """Calls without an answer."""
        return len(self._asked)

    def ask(self, messages: list[bytes], now: float) -> int:
        """Begin as many of these calls as the server has room for; how many."""
        out: list[bytes] = []
        for message in messages:
            size = len(message) + 5
            if size > self._credit:
                break
            self._credit -= size
            stream = self._stream
            out += (
                _FRAME.pack(0, len(self._head), _HEADERS, _END_HEADERS, stream),
                self._head,
                _FRAME.pack(0, size, _DATA, _END_STREAM, stream),
                struct.pack(">BI", 0, size - 5),
                message,
            )
            self._head = _INDEXED
            self._asked[stream] = now
            self._stream = stream + 2
        count = len(out) // 5
        self._socket.sendall(b"".join(out))
        return count

    def answers(self) -> list[tuple[int, float]]:
        """Wait for something to arrive; number and seconds of each call that is now complete."""
        received = self._socket.recv(262_144)
        if not received:
            raise ConnectionLost("the server closed the connection")
        now = time.perf_counter()
        buffer = self._rest + received
        waits: list[tuple[int, float]] = []
        at, end = 0, len(buffer)
        while end - at >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(buffer, at)
            following = at + _FRAME.size + (high << 16) + low
            if following > end:
                break
            if kind == _DATA:
                self.allowed += buffer[at + 14 : at + 16] == _ALLOWED
            elif kind != _HEADERS:
                self._control(kind, flags, stream, buffer[at + _FRAME.size : following])
            if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
                waits.append((stream // 2, now - self._asked.pop(stream)))
            at = following
        self._rest = buffer[at:]
        return waits

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (_RST_STREAM, _GOAWAY):
            raise ConnectionLost(f"the server sent frame type {kind} on stream {stream}: {payload!r}")
        if kind == _WINDOW_UPDATE and stream == 0:
            self._credit += int.from_bytes(payload)
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._socket.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _FRAME.pack(0, len(payload), kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header line that both sides enter into their table; lengths below 127 take one byte."""
    return b"".join((b"\x40", bytes([len(name)]), name, bytes([len(value)]), value))


# The entry added last has the lowest index, so a block of all of them counts down.
_INDEXED = bytes(0x80 | (_FIRST_OWN_INDEX + place) for place in reversed(range(len(_HEADER_LINES))))
