"""What was looked at and what came of it, in words that an operator can act on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class Severity(StrEnum):
    """`ERROR` lets something through or breaks something, `WARNING` may be meant so, `OK` is as it should be."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result.

    Attributes:
        check: what was looked at, in one stable word.
        where: `file:line`, or a URL.
        what: what is the case there.
        why: why it matters, in one sentence; empty when nothing is wrong.
        fix: what to type; empty when nothing is wrong.
    """

    severity: Severity
    check: str
    where: str
    what: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A place where a check found something, and what to type there."""

    where: str
    what: str
    fix: str
    severity: Severity = Severity.ERROR


Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[Subject]):
    """One thing to look at.

    Attributes:
        name: one stable word for it.
        good: what is the case when nothing is wrong.
        why: why it matters, in one sentence.
        look: finds the problems of one subject.
    """

    name: str
    good: str
    why: str
    look: Callable[[Subject], Iterable[Problem]]


def run(checks: Iterable[Check[Subject]], subjects: Sequence[Subject], where: str) -> Iterator[Finding]:
    """Every problem of every subject, and one `OK` at `where` for each check that found none."""
    for check in checks:
        problems = [problem for subject in subjects for problem in check.look(subject)]
        for each in dict.fromkeys(problems):
            yield Finding(
                severity=each.severity, check=check.name, where=each.where, what=each.what, why=check.why, fix=each.fix
            )
        if subjects and not problems:
            yield Finding(severity=Severity.OK, check=check.name, where=where, what=check.good)
