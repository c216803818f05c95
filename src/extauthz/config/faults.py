"""What is wrong in a file, where, and what to write instead.

ConfigError        all faults of one load, in the order of the files
└── Fault          one of them, with its place
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

_WINDOW = 120
"""Characters shown of a long source line, or of a long value."""

_LONGEST_WORD = 64
"""Characters of a word that are compared with known ones."""

_INDENT = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to correct.

    Attributes:
        file: name of the file as the operator gave it.
        line: line in the file, from 1.
        column: character in the line, from 1.
        message: a sentence that says what is wrong or what to write instead.
        value: what was found there; empty when there is nothing to show or it may be a secret.
        hint: what was probably meant.
        excerpt: the source line, or the part of it that surely has no secret; empty when it is not shown.
        excerpt_column: column of the line where the excerpt starts.
    """

    file: str
    line: int
    column: int
    message: str
    value: str = ""
    hint: str = ""
    excerpt: str = field(default="", repr=False)
    excerpt_column: int = 1

    def render(self) -> str:
        """The fault as text: `file:line:column: message`, then the source line and a `^` under the place."""
        got = f" (got {_short(self.value)!r})" if self.value else ""
        meant = f"; did you mean {_short(self.hint)!r}?" if self.hint else ""
        head = f"{self.file}:{self.line}:{self.column}: {self.message}{got}{meant}"
        return f"{head}\n{self._marked()}" if self.excerpt else head

    def _marked(self) -> str:
        at = self.column - self.excerpt_column
        start = max(0, at - _WINDOW // 2) if len(self.excerpt) > _WINDOW else 0
        shown = "".join(map(_printable, self.excerpt[start : start + _WINDOW])).rstrip()
        return f"{_INDENT}{shown}\n{_INDENT}{' ' * (at - start)}^"


class ConfigError(Exception):
    """The files cannot be used. `faults` has all reasons, sorted by file and line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line, fault.column)))
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(fault.render() for fault in self.faults)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like this one, or an empty string when none does."""
    spelling = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word[:_LONGEST_WORD].lower(), spelling, n=1)
    return spelling[close[0]] if close else ""


def _short(text: str) -> str:
    return text if len(text) <= _WINDOW else f"{text[:_WINDOW]}…"


def _printable(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
