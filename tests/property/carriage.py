"""What can be the matter with a question on its way, wire by wire, and what arrives instead."""

import re
from collections import Counter
from dataclasses import replace

from extauthz.core.paths import canonical_host
from fuzz.doors import DOORS
from fuzz.questions import Question
from fuzz.wires import http_wire


def has_control(wire: str, question: Question) -> bool:
    """A control character somewhere in its head; a tab is none."""
    method, target, lines = http_wire(wire).ask(question)
    text = "".join([method, target, *(value for _, value in lines)])
    return re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text) is not None


def has_host(wire: str, question: Question) -> bool:
    """A line of `Host` among the client's own."""
    return any(name == "host" for name, _ in question.headers)


def strange_line(wire: str, question: Question) -> bool:
    """No method and path that every server takes in a request line."""
    whole = re.fullmatch(r"/([!$&'()*+,\-./:;=?@A-Z_a-z~0-9]|%[0-9A-Fa-f]{2})*", question.target)
    return whole is None or re.fullmatch("[A-Z]+", question.method) is None


def strange_host(wire: str, question: Question) -> bool:
    """No host that every server takes."""
    return re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,4})?", question.host) is None


def _fold(name: str) -> str:
    return name.replace("_", "-").replace(".", "-")


def imitates(wire: str, question: Question) -> bool:
    """Another spelling of a header that the dialect reads or that carries identity, or one of the former twice."""
    once = {"x-request-id", *(name.decode() for name in http_wire(wire).metadata)}
    guarded = {*once, *DOORS.guarded}
    names = Counter(name for name, _ in http_wire(wire).ask(question).lines)
    return any(names[name] > 1 for name in once) or any(
        name not in guarded and _fold(name) in guarded for name in names
    )


def not_utf8(text: str) -> bool:
    """Octets that are no text in UTF-8."""
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False


def first_value(question: Question, name: str) -> str | None:
    """The value of the first line of this name, if there is one."""
    return next((value for key, value in question.headers if key == name), None)


def url_host(question: Question) -> str | None:
    """The host in the client's X-Original-URL, if the URL tells the same target, and the same host where there is one."""
    scheme, _, rest = (first_value(question, "x-original-url") or "").partition("://")
    host, slash, path = rest.partition("/")
    well_formed = scheme in {"http", "https", "ws", "wss"} and host and not set(host) & set("?#\\@")
    same_host = not question.host or canonical_host(question.host) == canonical_host(host)
    return host if well_formed and slash + path == question.target and same_host else None


def in_url(question: Question) -> Question | None:
    """The question with the host and target that its URL has, if what the client says beside it agrees."""
    host, slash, path = f"{question.host}{question.target}".partition("/")
    uri, named = first_value(question, "x-original-uri"), first_value(question, "x-original-host")
    agreed = uri in (None, slash + path) and (not named or canonical_host(named) == canonical_host(host))
    well_formed = host and slash and not set(host) & set("?#\\@")
    return replace(question, host=host, target=slash + path) if well_formed and agreed else None


# ---- what arrives -----------------------------------------------------------------------------------------------

_BLANK = " \t"


def stripped(wire: str, question: Question) -> Question:
    """Without blanks where a header begins or ends."""
    return replace(
        stripped_beside_line(wire, question),
        method=question.method.strip(_BLANK),
        target=question.target.strip(_BLANK),
    )


def stripped_beside_line(wire: str, question: Question) -> Question:
    """The same where method and path are in a request line."""
    return replace(
        question,
        host=question.host.strip(_BLANK),
        authorization=tuple(value.strip(_BLANK) for value in question.authorization),
        headers=tuple((name, value.strip(_BLANK)) for name, value in question.headers),
    )


def stripped_around_url(wire: str, question: Question) -> Question:
    """The same where host and path are in a URL."""
    target = question.target.rstrip(_BLANK)
    return replace(
        stripped(wire, question), target=target, host=question.host if target else question.host.rstrip(_BLANK)
    )
