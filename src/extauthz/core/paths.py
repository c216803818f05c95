"""Method, host and path: judged, not repaired.

The upstream gets the gateway's path, not ours, so a path that two readers could understand in two ways is
refused before any rule is looked at. What passes has exactly one meaning for RFC 3986, WHATWG URL and NGINX
decoding, and `canonical_path` gives that meaning one spelling: every octet that may stand unescaped in a path
does so, all others are `%XX` in upper case.
"""

import re
from functools import lru_cache

MAX_PATH_LENGTH = 8192
"""Bytes of the path without its query."""

MAX_METHOD_LENGTH = 32
"""Characters."""

MAX_HOST_LENGTH = 262
"""Characters: a DNS name of 253, a dot, a port and room for brackets."""

# What a path segment may carry as is. Left out on purpose: `%` (an escape), `/` and `?` (structure),
# `;` (servers strip parameters), `\` (a slash for some), `#` (cut off by some), and what URLs never carry raw.
_PLAIN = r"[!$&'()*+,\-.0-9:=@A-Z\[\]_a-z~]"
_NO_DOTS = r"(?!\.\.?(?:/|\Z))"
_CANONICAL = re.compile(rf"(?:/{_NO_DOTS}{_PLAIN}+)*/?")
_ESCAPED = re.compile(rf"(?:/(?:{_PLAIN}|%[0-9A-Fa-f]{{2}})+)*/?")
_DOT_SEGMENT = re.compile(r"/\.\.?(?:/|\Z)")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN_OCTETS = frozenset(octet for octet in range(0x21, 0x7F) if re.fullmatch(_PLAIN, chr(octet)))
_REFUSED_OCTETS = frozenset([*range(0x20), 0x7F, *b"/\\%;"])

_LAST_ASCII = 0x7F

_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_]([0-9A-Za-z_-]*)(\.[0-9A-Za-z_][0-9A-Za-z_-]*)*)\.?(:[0-9]{1,5})?")


def canonical_path(target: str) -> str | None:
    """The one spelling of the path in a request target, or None when the path is ambiguous and must be refused.

    The query is cut at the first `?` and plays no part. Never hand a target to a URL parser: `//x/y` is no host.
    """
    path = target.partition("?")[0]
    if not path or len(path) > MAX_PATH_LENGTH:
        return None
    if _CANONICAL.fullmatch(path) is not None:
        return path
    return _unescape(path) if _ESCAPED.fullmatch(path) is not None else None


def _unescape(path: str) -> str | None:
    octets = {int(digits, 16) for digits in _ESCAPE.findall(path)}
    if octets & _REFUSED_OCTETS:
        return None
    if max(octets, default=0) > _LAST_ASCII and not _is_utf8(path):
        return None
    canonical = _ESCAPE.sub(_respell, path)
    return None if _DOT_SEGMENT.search(canonical) else canonical


def _respell(escape: re.Match[str]) -> str:
    octet = int(escape[1], 16)
    return chr(octet) if octet in _PLAIN_OCTETS else escape[0].upper()


def _is_utf8(path: str) -> bool:
    octets = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), path).encode("latin-1")
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def known_method(method: str) -> bool:
    """Whether this is a method at all. Which methods a route takes is the route's business."""
    return len(method) <= MAX_METHOD_LENGTH and _is_method(method)


def canonical_host(host: str) -> str | None:
    """Lower case, without port and without one trailing dot; None when it is not one single host."""
    return _canonical_host(host) if len(host) <= MAX_HOST_LENGTH else None


# Few methods and few hosts make up nearly all requests. Lengths are judged before anything is remembered.


@lru_cache(maxsize=256)
def _is_method(method: str) -> bool:
    return _METHOD.fullmatch(method) is not None


@lru_cache(maxsize=1024)
def _canonical_host(host: str) -> str | None:
    match = _HOST.fullmatch(host)
    return None if match is None else match[1].lower()
