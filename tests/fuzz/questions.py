"""A question, and the form that each wire gives it.

Messages are put together by hand, octet for octet: a second opinion on our own codecs, and able to be wrong.
"""

import codecs
from dataclasses import dataclass
from enum import StrEnum

from cases import Request

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A client's request. Text is the octets on its wire, read as Latin-1.

    Attributes:
        method: request method.
        target: request target.
        host: `Host`, empty when there was none.
        authorization: the lines of `Authorization`.
        headers: all other lines, names in lower case.
    """

    method: str = "GET"
    target: str = "/orders/1"
    host: str = "api.example.com"
    authorization: tuple[str, ...] = ()
    headers: Lines = ()

    @property
    def lines(self) -> Lines:
        """All header lines."""
        return (*(("authorization", value) for value in self.authorization), *self.headers)


def asked(request: Request) -> Question:
    """A request of the vectors as a question."""
    headers = tuple((name.lower(), value) for name, value in request.headers)
    return Question(
        method=request.method,
        target=request.target,
        host=request.host,
        authorization=request.authorization,
        headers=headers,
    )


class Form(StrEnum):
    """How a client of the gRPC protocol can put headers into a CheckRequest."""

    MAP = "map"
    RAW = "raw"
    VALUE = "value"


def sanitised(value: str) -> str:
    """What Envoy makes of a header for a protobuf text: `!` for each octet that is not UTF-8."""
    return value.encode("latin-1").decode("utf-8", "sanitise").encode().decode("latin-1")


def _exclaim(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "!" * (error.end - error.start), error.end


codecs.register_error("sanitise", _exclaim)


def joined(lines: Lines) -> dict[str, str]:
    """What Envoy makes of lines with one name for a map: one value with commas."""
    merged: dict[str, str] = {}
    for name, value in lines:
        merged[name] = f"{merged[name]},{value}" if name in merged else value
    return merged


def check_request(question: Question, form: Form, *, title_case: bool = False) -> bytes:
    """The CheckRequest, octet for octet: protobuf texts that are not UTF-8 stay so. Envoy writes names in lower case."""
    pseudo = ((":path", question.target), (":method", question.method), (":authority", question.host))
    lines = tuple((name.title() if title_case else name, value) for name, value in (*pseudo, *question.lines))
    http = _text(1, "4711") + _text(2, question.method) + _text(4, question.target) + _text(5, question.host)
    match form:
        case Form.MAP:
            http += b"".join(
                field(3, _text(1, key) + _text(2, sanitised(value))) for key, value in joined(lines).items()
            )
        case Form.RAW:
            http += field(13, b"".join(field(1, _text(1, key) + _text(3, value)) for key, value in lines))
        case Form.VALUE:
            http += field(13, b"".join(field(1, _text(1, key) + _text(2, sanitised(value))) for key, value in lines))
    return field(1, field(4, field(2, http)))


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return field(number, text.encode("latin-1")) if text else b""


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def nginx_lines(question: Question) -> Lines:
    """The subrequest's headers under a recipe that also lets the client's own through."""
    metadata = (
        ("x-original-method", question.method),
        ("x-original-uri", question.target),
        ("x-original-host", question.host),
    )
    return (*metadata, *question.lines)


def frame(message: bytes) -> bytes:
    """One uncompressed gRPC message."""
    return b"\0" + len(message).to_bytes(4) + message


def octets(lines: Lines) -> list[tuple[bytes, bytes]]:
    """Header lines as ASGI has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
