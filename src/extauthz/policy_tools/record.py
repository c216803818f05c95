"""Lines of the audit log as requests that can be asked again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from extauthz.core.decision import ALLOWING, Reason

WITHOUT_TOKEN = {
    Reason.PUBLIC,
    Reason.NO_ROUTE,
    Reason.BAD_METHOD,
    Reason.BAD_HOST,
    Reason.BAD_PATH,
    Reason.NO_CREDENTIALS,
    Reason.UNSUPPORTED_SCHEME,
    Reason.MALFORMED_CREDENTIALS,
    Reason.SEVERAL_CREDENTIALS,
}
"""Reasons of answers for which no token was looked at, if there was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One line of the audit log.

    Attributes:
        reason: why the rule decided as it did, also where it was a shadow.
        shadow: whether it was, and let pass what it would have denied.
        scope: the token's scopes, separated by spaces; None when the line does not tell.
        needed: lists of scopes that were asked for, by the rule and by the gateway; empty when the line does not tell.
    """

    method: str
    host: str
    path: str
    reason: Reason
    rule: str
    sub: str | None = None
    client_id: str | None = None
    scope: str | None = None
    shadow: bool = False
    needed: tuple[str, ...] = ()

    @property
    def answered(self) -> Reason:
        """The reason that the gateway was told."""
        return Reason.SHADOW if self.shadow else self.reason

    @property
    def passed(self) -> bool:
        """Whether the rule let the request through, and not only as a shadow."""
        return self.reason in ALLOWING


def read_record(lines: Iterable[bytes]) -> Iterator[Recorded | None]:
    """Each line as a request; None for one that is no line of the record."""
    for line in lines:
        if line.strip():
            yield _read(line)


def _read(line: bytes) -> Recorded | None:
    try:
        said: dict[str, Any] = json.loads(line)
        texts = {name: said[name] for name in ("method", "host", "path", "rule")}
        reason = Reason(said.get("shadow", said["reason"]))
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    scope, needed = said.get("scope"), said.get("needed")
    return Recorded(
        reason=reason,
        shadow="shadow" in said,
        sub=_text(said.get("sub")),
        client_id=_text(said.get("client_id")),
        scope=" ".join(map(str, scope)) if isinstance(scope, list) else _text(scope),
        needed=tuple(map(str, needed)) if isinstance(needed, list) else (),
        **texts,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
