"""An answer as each door gives it, made by the encoders of the doors."""

from http import HTTPStatus
from typing import NamedTuple

from extauthz.observe.events import Checked
from extauthz.wire.envoy.service import Options, answer
from extauthz.wire.envoy.text import as_text
from extauthz.wire.http.asgi import DIALECTS


class Answer(NamedTuple):
    """What a gateway gets.

    Attributes:
        doors: names of the doors that give this answer, as `dialects` in extauthz.yaml has them; `grpc` is Envoy's.
        octets: over HTTP the whole message; over gRPC the serialized CheckResponse.
        text: the same for a reader.
    """

    doors: tuple[str, ...]
    octets: bytes
    text: str


def answers(checked: Checked, options: Options) -> list[Answer]:
    """The answer of each door, those that are the same together; `options` are those of Envoy's.

    Each real answer has a `decision_id` of its own, and the order of Envoy's metadata is protobuf's.
    """
    message = answer(checked, options)
    together: dict[bytes, list[str]] = {}
    for name, dialect in DIALECTS.items():
        together.setdefault(_message(*dialect.encode(checked.decision)), []).append(name)
    over_http = [Answer(tuple(names), octets, octets.decode("latin-1")) for octets, names in together.items()]
    return [Answer(("grpc",), message, as_text(message)), *over_http]


def _message(status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
    """HTTP/1.1 (RFC 9112 §2.1) as the server frames it: the length stands last."""
    lines = sorted(headers, key=lambda line: line[0] == b"content-length")
    head = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())
    return head + b"".join(b"%s: %s\r\n" % line for line in lines) + b"\r\n" + body
