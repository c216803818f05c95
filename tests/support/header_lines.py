"""Header lines as ASGI has them, from text and back."""

from collections.abc import Iterable, Mapping


def lines(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Every octet is one character."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.encode(), value.encode("latin-1")) for name, value in pairs]


def text(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The same lines, to be read."""
    return [(name.decode(), value.decode("latin-1")) for name, value in headers]
