"""One line of the record: what was asked, what was answered, and why. Never a token, never a query."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zlib import crc32

import orjson

from extauthz.core.contrast import Contrast
from extauthz.core.decision import Deny, Reason, true_reason
from extauthz.observe.events import Checked

MAX_TEXT: Final = 1024
"""Characters of each text that a client or an authorization server chose; the rest is cut."""

_ALL: Final = 2**32
"""How many values `crc32` has."""


def is_kept(event: Checked, sample_allows: float) -> bool:
    """Whether the decision is part of the record: denials always are, and this share of what was let through.

    The decision's id settles it, so that whoever has the same id in another log can tell.
    """
    return isinstance(event.decision, Deny) or crc32(event.decision_id.encode()) < sample_allows * _ALL


def render(event: Checked, sample_allows: float = 1.0) -> bytes:
    """One line of the record. Where not all allows are kept, each says which share is, so that they can be counted."""
    try:
        return _render(event, sample_allows)
    except TypeError:  # a text that JSON cannot hold: half a surrogate pair, which no gateway sends
        return _render(_mended(event), sample_allows)


def _render(event: Checked, sample_allows: float) -> bytes:
    decision_id, at, door, request_id, method, host, path, decision, level, sub, client_id = event[:11]
    scope, took, fault, contrast, needed, asked, missing = event[11:]
    outcome, status = ("deny", decision.outcome.status) if isinstance(decision, Deny) else ("allow", 200)
    line: dict[str, object] = {
        "time": _time(at),
        "decision_id": decision_id,
        "door": door,
        "request_id": request_id[:MAX_TEXT],
        "method": method,
        "host": host[:MAX_TEXT],
        "path": path[:MAX_TEXT],
        "outcome": outcome,
        "reason": decision.reason._value_,  # `value` is a descriptor in Python, and slow
        "status": status,
        "rule": decision.rule,
        "sub": sub,
        "client_id": client_id,
        "needed": needed,
        "scope": scope if len(scope) <= MAX_TEXT else _cut(scope),
        "level": level,
        "took_us": round(took * 1e6),
    }
    if asked:
        line["introspection_us"] = round(asked * 1e6)
    if missing:
        line["missing"] = [each[:MAX_TEXT] for each in missing]
    if sample_allows < 1 and outcome == "allow":
        line["sample_rate"] = sample_allows
    if decision.reason is Reason.SHADOW:
        line["shadow"] = true_reason(decision).value
    if contrast is not None:
        line["candidate"] = _told(contrast)
    if fault:
        line["fault"] = fault
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _told(contrast: Contrast) -> dict[str, str]:
    """What the candidate policy says otherwise."""
    decision = contrast.decision
    if decision is None:
        return {"kind": contrast.kind.value}
    outcome = "deny" if isinstance(decision, Deny) else "allow"
    return {"kind": contrast.kind.value, "outcome": outcome, "reason": decision.reason.value, "rule": decision.rule}


def _time(at: float) -> str:
    """In the manner of `isoformat`, at a third of its price: decisions that are told together are of the same second."""
    second, microseconds = divmod(round(at * 1e6), 1_000_000)
    return f"{_second(second)}.{microseconds:06}+00:00"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _cut(scope: str) -> str:
    """As many whole scopes as there is room for."""
    return scope[: MAX_TEXT + 1].rpartition(" ")[0]


def _mended(event: Checked) -> Checked:
    """The same with a question mark for each character that is none."""
    mended = (_plain(value) if isinstance(value, str) else value for value in event)
    return Checked._make(mended)._replace(missing=tuple(map(_plain, event.missing)))


def _plain(text: str) -> str:
    return text.encode(errors="replace").decode()
