"""The register is whole, and its page is what the tests say today."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.__main__ import problems
from conformance.collect import CLAIMS, Claims
from conformance.register import Part, Register, Statement, faults, render

TESTS = Path(__file__).parents[1]
COLLECTING_SECONDS = 120


@pytest.mark.timeout(COLLECTING_SECONDS + 10)
def test_every_statement_that_is_due_is_shown_and_the_page_says_by_what(request: pytest.FixtureRequest) -> None:
    """`make conformance` writes it. Where only some tests were collected, all of them are collected here."""
    if request.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        assert problems(CLAIMS) == []
        return
    command = [sys.executable, "-m", "conformance", "--check"]
    done = subprocess.run(
        command,
        cwd=TESTS.parent,
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
        timeout=COLLECTING_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def statement(identifier: str, subject: str = "", lacks: str = "") -> Statement:
    return Statement(identifier=identifier, says="it is so", source="RFC 1", subject=subject, lacks=lacks)


def register(*statements: Statement) -> Register:
    part = Part(letter="X", title="Part", intro="What is asked.", statements=statements)
    more = Part(letter="Y", title="More", intro="", first=7, owed=False, statements=(statement("Y7"), statement("Y8")))
    return Register(subjects=frozenset({"DPoP"}), parts=(part, more))


X1, X2 = statement("X1"), statement("X2")
SHOWN: Claims = {"X1": {"a.py::test_a": 1}, "X2": {"a.py::test_a": 3, "a.py::test_b": 1}}


@pytest.mark.parametrize(
    ("statements", "claims", "fault"),
    [
        ((X1, X2), {"X1": SHOWN["X1"]}, "X2 is shown by no test"),
        ((X1,), SHOWN, "a.py::test_a, a.py::test_b shows X2, which is no statement"),
        ((X1, statement("X2", "DPoP", "proofs")), SHOWN, "X2 is shown by a test: take out what it is said to lack"),
        ((X1, statement("X2", lacks="a test")), SHOWN, "X2 is shown by a test: take out what it is said to lack"),
        ((X1, statement("X2", "laziness", "a test")), {"X1": {}}, "X2 may not come later: laziness is no subject"),
        ((X2, X1), SHOWN, "X2 stands where X1 should"),
        ((X1, X1, X2), SHOWN, "X1 stands where X2 should"),
    ],
)
def test_a_register_that_is_not_whole_is_told(statements: tuple[Statement, ...], claims: Claims, fault: str) -> None:
    assert fault in "\n".join(faults(register(*statements), claims))


@pytest.mark.parametrize("second", [X2, statement("X2", "DPoP", "proofs"), statement("X2", lacks="a test")])
def test_a_whole_one_has_no_faults(second: Statement) -> None:
    claims = SHOWN if second is X2 else {"X1": SHOWN["X1"]}
    assert faults(register(X1, second), {**claims, "Y8": {"b.py::test_c": 1}}) == []


def test_the_page_counts_what_is_due_and_names_what_shows_it() -> None:
    statements = X1, X2, statement("X3", "DPoP", "proofs"), statement("X4", lacks="a | test")
    page = render(register(*statements), {**SHOWN, "Y8": {"b.py::test_c": 1}})
    assert "**2 of 3 statements that are due are shown.**" in page
    assert "| X1 | it is so <sub>RFC 1</sub> | `a.py::test_a` |" in page
    assert "| `a.py::test_a` (3)<br>`a.py::test_b` |" in page
    assert "| later, with DPoP: proofs |" in page
    assert "| **not shown yet**: a \\| test |" in page
    assert "| Y8 | it is so" in page
    assert "Y7" not in page


Sort = Callable[[dict[str, dict[str, int]]], dict[str, dict[str, int]]]


@pytest.mark.parametrize("sort", [dict, lambda claims: dict(reversed(claims.items()))])
def test_the_order_of_collection_changes_nothing(sort: Sort) -> None:
    claims = sort({name: dict(tests) for name, tests in SHOWN.items()})
    assert render(register(X1, X2), claims) == render(register(X1, X2), SHOWN)
