"""Durations, addresses, URLs and ranges: how each is written, and the sentence for whoever writes it otherwise."""

import re
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

MAX_SOCKET_PATH_BYTES = 107
"""What Linux takes as the path of a Unix socket."""

Network = IPv4Network | IPv6Network

_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_BYTE_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_BYTES = re.compile(r"([0-9]{1,7})(KiB|MiB|GiB)")
_NUMBER = re.compile(r"[0-9.]+")
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_TCP = re.compile(r"(?P<host>[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_PORTS = range(1, 65536)


class Misfit(ValueError):  # noqa: N818 - a value that does not fit; the file is at fault, not the program
    """A value that cannot be used. The message says what to write.

    Attributes:
        hint: what may have been meant.
        at: leads from the field to the exact place.
        beside: the neighbour of the field that this is about instead, if it is.
    """

    def __init__(self, message: str, *, hint: str = "", at: tuple[str | int, ...] = (), beside: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.at = at
        self.beside = beside


class Missing(Misfit):
    """A key that must be there because of another one."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is missing", beside=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen: an IP address with a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_text(value: object) -> str:
    """One or more printable characters.

    Raises:
        Misfit: for anything else.
    """
    if isinstance(value, bool | int):
        raise Misfit("this must be text: put quotes around it", hint=f'"{str(value).lower()}"')
    if not isinstance(value, str):
        raise Misfit("this must be one piece of text, not a list or a mapping")
    if not value or not value.isprintable():
        raise Misfit("this must be text of one or more printable characters")
    return value


def parse_duration(value: object) -> float:
    """Seconds in a text such as `500ms`.

    Raises:
        Misfit: when it is not a number with a unit.
    """
    if isinstance(value, int) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise Misfit("write a unit, such as 500ms")
    text = value if isinstance(value, str) else ""
    match = _DURATION.fullmatch(text)
    if match is None:
        squeezed = text.replace(" ", "").lower()
        hint = squeezed if _DURATION.fullmatch(squeezed) else ""
        raise Misfit("a duration is a number with a unit (ms, s, m or h), such as 500ms", hint=hint)
    return float(Decimal(match[1]) * _UNITS[match[2]])


def parse_address(value: object) -> Address:
    """An address to listen on.

    Raises:
        Misfit: when it is none.
    """
    text = str(value) if type(value) is int else parse_text(value)
    if text.startswith("unix:"):
        return _unix_address(text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if match is None:
        raise Misfit(
            "an address is 127.0.0.1:9191, [::1]:9191 or unix:/run/extauthz.sock", hint=_address_for_name(text)
        )
    try:
        host = ip_address(match["host"].strip("[]"))
    except ValueError:
        raise Misfit("this is not an IP address and a port, such as 127.0.0.1:9191") from None
    if int(match["port"]) not in _PORTS:
        raise Misfit("a port is a number from 1 to 65535")
    return Address(host=str(host), port=int(match["port"]))


def _unix_address(path: str) -> Address:
    if not path.startswith("/"):
        raise Misfit("the path of a Unix socket starts with /, as in unix:/run/extauthz.sock")
    if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        raise Misfit(f"the path of a Unix socket has at most {MAX_SOCKET_PATH_BYTES} bytes")
    return Address(path=path)


def _address_for_name(text: str) -> str:
    host, colon, port = text.rpartition(":")
    known = {"localhost": "127.0.0.1", "": "0.0.0.0" if colon else "127.0.0.1", "*": "0.0.0.0"}
    return f"{known[host]}:{port}" if host in known and port.isdigit() else ""


def check_url(text: str) -> str:
    """Return an http or https URL unchanged: host and path, nothing that could carry a credential.

    Raises:
        Misfit: saying what is wrong with it.
    """
    parts = _split_url(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Misfit("write a whole URL, such as https://as.example.com/oauth2/introspect")
    if "@" in parts.netloc:
        raise Misfit("a URL carries no user name or password here: the client's secret has its own place")
    if "?" in text or "#" in text:
        raise Misfit("a URL ends before ? or # here: write only its host and path")
    return text


def _split_url(text: str) -> SplitResult | None:
    if _URL.fullmatch(text) is None:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def on_loopback(url: str) -> bool:
    """Whether the host of a checked URL is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse_bytes(value: object) -> int:
    """Bytes in a text such as `64MiB`.

    Raises:
        Misfit: when it is not a number with a unit.
    """
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Misfit("write a number with a unit (KiB, MiB or GiB), such as 64MiB")
    return int(match[1]) * _BYTE_UNITS[match[2]]


def parse_network(text: str) -> Network:
    """A range of addresses such as `10.0.0.0/8`.

    Raises:
        Misfit: when it is none.
    """
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        hint = str(ip_network(text, strict=False))
    except ValueError:
        hint = ""
    raise Misfit("a range of addresses is written like 10.0.0.0/8 or fd00::/8", hint=hint)
