"""What the authorization servers of this world answer, and what we make of it.

`tests/fixtures/introspection` has one file for each server, written after its documents and sources; ids and names are
made up. An answer with `needs` is read strictly first (`expect`) and then with that option (`with_it`). A server `wants`
the options that close a hole there.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extauthz.core.introspection import Active, Answer, Inactive, TokenState, Unavailable, read_answer
from extauthz.core.leniency import STRICT, Leniency

FIXTURES = Path(__file__).parents[2] / "fixtures" / "introspection"
TOKEN_TYPE = "token_type_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of one server."""

    answer: Answer
    issuer: str | None
    answers_others: bool
    wants: list[str]
    needs: str
    expect: dict[str, Any]
    with_it: dict[str, Any]

    def read(self, option: str = "") -> TokenState:
        """Strictly, or with one option."""
        leniency = Leniency(**{option: True}) if option not in ("", TOKEN_TYPE) else STRICT
        return read_answer(
            self.answer,
            issuer=self.issuer,
            answers_others=self.answers_others,
            leniency=leniency,
            token_type_required=option == TOKEN_TYPE,
        )


def said(server: dict[str, Any], one: dict[str, Any]) -> Said:
    text = one["body"] if isinstance(one["body"], str) else json.dumps(one["body"])
    return Said(
        answer=Answer(status=one["status"], content_type=one["content_type"], body=text.encode()),
        issuer=one.get("issuer", server["issuer"]),
        answers_others=one.get("answers_others", True),
        wants=server["wants"],
        needs=one.get("needs", ""),
        expect=one["expect"],
        with_it=one.get("with_it", {}),
    )


def every_answer() -> list[Any]:
    files = [(path.stem, json.loads(path.read_text())) for path in sorted(FIXTURES.glob("*.json"))]
    return [
        pytest.param(said(server, one), id=f"{name}: {one['what']}")
        for name, server in files
        for one in server["answers"]
    ]


def described(state: TokenState, expected: dict[str, Any]) -> dict[str, Any]:
    """The state in the words of the fixtures, with those members of a token that are expected."""
    match state:
        case Active():
            members = {name: getattr(state, name) for name in expected if name != "state"}
            return {"state": "active"} | members | ({"aud": list(state.aud)} if "aud" in members else {})
        case Inactive() | Unavailable():
            return {"state": type(state).__name__.lower(), "reason": state.reason.value}


@pytest.mark.shows("S100")
@pytest.mark.parametrize("said", every_answer())
def test_it_is_understood(said: Said) -> None:
    """Strictly, as without any option."""
    assert described(said.read(), said.expect) == said.expect


@pytest.mark.parametrize("said", [one for one in every_answer() if one.values[0].needs])
def test_an_option_changes_what_it_says(said: Said) -> None:
    """For servers that need it."""
    assert described(said.read(said.needs), said.with_it) == said.with_it


@pytest.mark.parametrize("said", [one for one in every_answer() if not one.values[0].needs])
def test_an_option_changes_nothing_else(said: Said) -> None:
    """Leniency for one shape is no leniency for another, and what a server wants does no harm to its access tokens."""
    options = ["scope_array", "string_active", "string_exp", *said.wants]
    assert [said.read(option) for option in options] == [said.read()] * len(options)
