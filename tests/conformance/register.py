"""Statements, what shows them, and the page that says so. Pure, but for `load`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from conformance.collect import Claims

STATEMENTS = Path(__file__).with_name("statements.yaml")

_HEAD = """\
# Conformance

What the standards and the gateways ask of extauthz, one statement a line, and the tests that show it. This page is
generated from the tests: a test says `@pytest.mark.shows("S1")`, `make conformance` collects the marks and writes the
page, and `make test` fails when it is out of date, when a statement that is due is shown by no test, or when a test
claims a statement that is not in the list. The statements are in
[tests/conformance/statements.yaml](../tests/conformance/statements.yaml).

A number after a test is the number of its parameters that show the statement.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing that is asked of us.

    Attributes:
        identifier: letter of its part, and a number.
        says: the statement.
        source: where it comes from.
        subject: the subject that is not served yet and that the statement is about; empty when the statement is due.
        lacks: what is missing for that subject, or what no test shows yet.
    """

    identifier: str
    says: str
    source: str
    subject: str = ""
    lacks: str = ""

    @property
    def due(self) -> bool:
        """Whether it is about something that we do."""
        return not self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A group of statements under one letter, numbered from `first` without a hole.

    Of a part that is not `owed`, only what a test shows is on the page, and what is to come later.
    """

    letter: str
    title: str
    intro: str
    first: int = 1
    owed: bool = True
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """All parts, and the closed list of subjects that may come later."""

    subjects: frozenset[str]
    parts: tuple[Part, ...]

    def statements(self) -> Iterator[Statement]:
        """All of them, in order."""
        for part in self.parts:
            yield from part.statements

    def owed(self) -> Iterator[Statement]:
        """Those of the parts that are owed."""
        for part in self.parts:
            yield from part.statements if part.owed else ()


def load(path: Path = STATEMENTS) -> Register:
    """The statements as the data file has them."""
    data = yaml.safe_load(path.read_text())
    return Register(subjects=frozenset(data["subjects"]), parts=tuple(map(_part, data["parts"])))


def _part(data: Mapping[str, Any]) -> Part:
    statements = tuple(_statement(name, entry) for name, entry in data["statements"].items())
    return Part(
        letter=data["letter"],
        title=data["title"],
        intro=data["intro"],
        first=data.get("first", 1),
        owed=data.get("owed", True),
        statements=statements,
    )


def _statement(identifier: str, entry: Mapping[str, Any]) -> Statement:
    ((subject, lacks),) = entry.get("later", {"": entry.get("gap", "")}).items()
    return Statement(identifier=identifier, says=entry["says"], source=entry["source"], subject=subject, lacks=lacks)


def faults(register: Register, claims: Claims) -> list[str]:
    """What is wrong with the register, a sentence each."""
    known = {statement.identifier: statement for statement in register.statements()}
    unknown = [
        f"{', '.join(tests)} shows {identifier}, which is no statement"
        for identifier, tests in claims.items()
        if identifier not in known
    ]
    return [*unknown, *_misnumbered(register), *_misjudged(register, claims)]


def _misnumbered(register: Register) -> Iterator[str]:
    for part in register.parts:
        for number, statement in enumerate(part.statements, part.first):
            if statement.identifier != f"{part.letter}{number}":
                yield f"{statement.identifier} stands where {part.letter}{number} should"


def _misjudged(register: Register, claims: Claims) -> Iterator[str]:
    for statement in register.owed():
        claimed = statement.identifier in claims
        if not statement.due and statement.subject not in register.subjects:
            yield f"{statement.identifier} may not come later: {statement.subject} is no subject that may"
        if claimed and statement.lacks:
            yield f"{statement.identifier} is shown by a test: take out what it is said to lack"
        if not claimed and not statement.lacks:
            yield f'{statement.identifier} is shown by no test: mark one with @pytest.mark.shows("{statement.identifier}")'


def render(register: Register, claims: Claims) -> str:
    """The page."""
    due = [statement for statement in register.owed() if statement.due]
    shown = sum(1 for statement in due if statement.identifier in claims)
    summary = f"**{shown} of {len(due)} statements that are due are shown.**"
    tables = (_table(part, claims) for part in register.parts)
    return "\n".join([_HEAD, summary, *tables])


def _table(part: Part, claims: Claims) -> str:
    listed = [
        statement for statement in part.statements if part.owed or statement.identifier in claims or not statement.due
    ]
    rows = (_row(statement, claims.get(statement.identifier, {})) for statement in listed)
    head = ["", f"## {part.title}", "", part.intro.strip(), "", "| id | statement | shown by |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def _row(statement: Statement, tests: Mapping[str, int]) -> str:
    says = f"{statement.says} <sub>{statement.source}</sub>"
    return f"| {statement.identifier} | {_cell(says)} | {_cell(_shown_by(statement, tests))} |"


def _shown_by(statement: Statement, tests: Mapping[str, int]) -> str:
    if not statement.due:
        return f"later, with {statement.subject}: {statement.lacks}"
    if statement.lacks:
        return f"**not shown yet**: {statement.lacks}"
    return "<br>".join(f"`{test}`" + (f" ({count})" if count > 1 else "") for test, count in sorted(tests.items()))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
