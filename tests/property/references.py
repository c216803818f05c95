"""Second opinions: slow, obvious versions of what other programs make of a path, a challenge or a set of rules."""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from extauthz.core.policy import Rule

UNRESERVED = re.compile(rb"[A-Za-z0-9\-._~]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")

Segments = tuple[bytes, ...]


# ---- paths ------------------------------------------------------------------------------------------------------


def read_as_rfc3986(path: str) -> Segments:
    """RFC 3986 §6.2.2: decode unreserved octets, remove dot segments, split; the rest is decoded for comparison."""
    return _decoded(_without_dots(_ESCAPE.sub(_decode_unreserved, path), {"."}, {".."}))


def read_as_whatwg(path: str) -> Segments:
    """The WHATWG URL parser, `https`: a backslash is a slash and `%2e` makes a dot segment; tabs and line ends go."""
    text = re.sub(r"[\t\r\n]", "", path).replace("\\", "/")
    return _decoded(_without_dots(text, {".", "%2e"}, {"..", ".%2e", "%2e.", "%2e%2e"}))


def read_as_nginx(path: str) -> Segments:
    """NGINX for its locations: decode everything once, merge slashes, resolve dot segments."""
    text = unquote_to_bytes(path).decode("latin-1")
    merged = re.sub("/{2,}", "/", text)
    return tuple(part.encode("latin-1") for part in _without_dots(merged, {"."}, {".."}).split("/"))


def _decode_unreserved(escape: re.Match[str]) -> str:
    octet = bytes.fromhex(escape[1])
    return octet.decode("ascii") if UNRESERVED.fullmatch(octet) else escape[0].upper()


def _without_dots(path: str, single: set[str], double: set[str]) -> str:
    first, *parts = path.split("/")
    kept: list[str] = []
    for at, part in enumerate(parts, start=1):
        dots = part.lower()
        if dots in double:
            del kept[-1:]
        elif dots not in single:
            kept.append(part)
            continue
        if at == len(parts):
            kept.append("")
    return "/".join([first, *kept])


def _decoded(path: str) -> Segments:
    return tuple(unquote_to_bytes(part) for part in path.split("/"))


# ---- rules ------------------------------------------------------------------------------------------------------


def best_rule(rules: Iterable[Rule], method: str, host: str, path: Segments) -> Rule | None:
    """The rule that decides, found by looking at all of them: narrowest host, then narrowest path, then the method.

    None decides where the narrowest has a rival: up to some segment they are alike, and there each has its constraint.
    """
    ranked = [(rank, one) for one in rules if (rank := _rank(one, host, path)) is not None]
    narrowest = min((rank for rank, _ in ranked), default=None)
    best = [one for rank, one in ranked if rank == narrowest]
    if any(_rivals(one, other) for one in best for _, other in ranked if one.host == other.host):
        return None
    return next((one for one in best if not one.methods or method in one.methods), None)


def _rivals(first: Rule, second: Rule) -> bool:
    differing = next(
        (pair for pair in zip(_steps(first), _steps(second), strict=False) if pair[0] != pair[1]), ("", "")
    )
    return all(step.startswith("{ ") for step in differing)


def _steps(rule: Rule) -> list[str]:
    """Each segment, of a parameter only its constraint."""
    constraints = {f"{{{name}}}": f"{{ {pattern.text}" for name, pattern in rule.where}
    segments = rule.path.split("/")[1:]
    return [constraints.get(each, "{}") if each.startswith("{") else each for each in segments]


def _rank(rule: Rule, host: str, path: Segments) -> tuple[int, tuple[int, ...]] | None:
    """How narrow the rule is for this request, smaller is narrower; None when it does not match."""
    by_host = _host_rank(rule.host, host)
    by_path = _path_rank(_steps(rule), path[1:])
    return None if by_host is None or by_path is None else (by_host, by_path)


def _host_rank(pattern: str, host: str) -> int | None:
    if not pattern:
        return 0
    if not pattern.startswith("*."):
        return -1000 if pattern == host else None
    return -len(pattern) if host.endswith(pattern[1:]) and len(host) > len(pattern[1:]) else None


def _path_rank(pattern: list[str], path: Segments) -> tuple[int, ...] | None:
    """Per segment: 0 for a literal, 1 for a parameter with a constraint, 2 for one without, 3 for `**`."""
    if pattern == ["**"]:
        return (3,)
    if not pattern or not path:
        return () if not pattern and not path else None
    rank = 0 if not pattern[0].startswith("{") else 1 if pattern[0].startswith("{ ") else 2
    below = _path_rank(pattern[1:], path[1:]) if _fits(pattern[0], path[0]) else None
    return None if below is None else (rank, *below)


def _fits(step: str, segment: bytes) -> bool:
    if not step.startswith("{"):
        return segment == unquote_to_bytes(step)
    if step.startswith("{ "):
        return re.fullmatch(step.removeprefix("{ "), segment.decode("latin-1")) is not None
    return segment != b""


# ---- challenges -------------------------------------------------------------------------------------------------

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"((?:[\t \x21\x23-\x5B\x5D-\x7E]|\\[\t \x21-\x7E])*)"'
_SCHEME = re.compile(rf"({_TOKEN}) +(?={_TOKEN} *=)")
_PARAMETER = re.compile(rf"({_TOKEN}) *= *(?:{_QUOTED}|({_TOKEN}))")
_COMMA = re.compile(r" *, *")

Challenge = tuple[str, list[tuple[str, str]]]


def read_challenges(value: str) -> list[Challenge]:
    """A `WWW-Authenticate` value by RFC 9110 §11.6.1, challenges with parameters only.

    Raises:
        ValueError: at the first character that fits nowhere.
    """
    challenges: list[Challenge] = []
    at = 0
    while at < len(value):
        if scheme := _SCHEME.match(value, at):
            challenges.append((scheme[1].lower(), []))
            at = scheme.end()
        parameter = _PARAMETER.match(value, at)
        if parameter is None or not challenges:
            raise ValueError(f"no parameter at {at} in {value!r}")
        text = parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2])
        challenges[-1][1].append((parameter[1].lower(), text))
        at = parameter.end()
        comma = _COMMA.match(value, at)
        if at < len(value) and (comma is None or comma.end() == len(value)):
            raise ValueError(f"no comma and parameter at {at} in {value!r}")
        at = at if comma is None else comma.end()
    return challenges
