"""Tests of a policy: requests, and how they must end, played through the engine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from extauthz.config.document import Document
from extauthz.core.decision import Allow, Reason, true_reason
from extauthz.core.policy import Rule
from extauthz.core.scopes import held_scopes
from extauthz.observe.events import Checked
from extauthz.policy_tools.ask import Url, question
from extauthz.policy_tools.explain import Explanation, explain, rule_for
from extauthz.policy_tools.pretend import Pretended, pretend
from extauthz.policy_tools.report import outcome
from extauthz.policy_tools.source import SoundSource
from extauthz.policy_tools.suite_file import Case, Expected, SuiteFile

NO_RULE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One request of one test.

    Attributes:
        name: the test's.
        file: where it stands.
        line: from 1.
        request: method and URL.
        rule: name of the rule that decided, empty when none did.
        differences: what is not as expected, each in one line; none when the test passed.
        told: what is known about the outcome, for whoever has to find out.
    """

    name: str
    file: str
    line: int
    request: str
    rule: str
    differences: tuple[str, ...]
    told: tuple[str, ...]


def play(suite: SuiteFile, document: Document, source: SoundSource, now: float) -> list[Played]:
    """Play all tests of a file; `now` in seconds since the epoch."""
    played = []
    for index, case in enumerate(suite.tests):
        line = document.value_place(("tests", index)).line
        played += [_play(case, request, source, now, (document.file, line)) for request in case.requests()]
    return played


def untested(source: SoundSource, played: Iterable[Played]) -> list[str]:
    """Names of the rules that decided no request of any test, in the order of the file."""
    reached = {each.rule for each in played}
    return [rule.name for rule in source.snapshot.routes.rules if rule.name not in reached]


def _play(case: Case, request: tuple[str, Url], source: SoundSource, now: float, place: tuple[str, int]) -> Played:
    method, url = request
    pretended = case.pretended()
    asked = question(method, url, with_token=pretended != Pretended(), preflight=case.preflight or "")
    explanation = explain(source, asked, pretend(pretended, rule_for(source, asked), now), now)
    return Played(
        name=case.name,
        file=place[0],
        line=place[1],
        request=f"{method} {url.host}{url.target}",
        rule=explanation.checked.decision.rule,
        differences=tuple(_differences(case.expected(), explanation)),
        told=tuple(_told(explanation, source)),
    )


def _differences(expected: Expected, found: Explanation) -> Iterator[str]:
    decision = found.decision
    rows: list[tuple[str, object, object]] = [
        ("outcome", expected.outcome, "allow" if isinstance(decision, Allow) else "deny"),
        ("status", expected.status, found.status),
        ("reason", expected.reason, found.reason),
        ("rule", expected.rule, decision.rule or NO_RULE),
        ("identity", expected.identity, dict(decision.identity) if isinstance(decision, Allow) else {}),
        ("missing", expected.missing and sorted(expected.missing), _missing_scopes(found.rule, found.checked)),
    ]
    for name, wanted, got in rows:
        if wanted is not None and wanted != got:
            yield f"{name}: expected {_shown(wanted)}, got {_shown(got)}"


def _missing_scopes(rule: Rule | None, checked: Checked) -> list[str]:
    """Of the list of scopes that the token lacks least of, what it lacks; nothing where scopes are not the matter."""
    if rule is None or true_reason(checked.decision) is not Reason.INSUFFICIENT_SCOPE:
        return []
    held = held_scopes(frozenset(checked.scope.split()), rule.implications)
    return min((sorted(words - held) for words in rule.alternatives), key=len, default=[])


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, text in sorted(value.items())) or "nothing"
    return " ".join(value) or "nothing" if isinstance(value, list) else str(value)


def _told(found: Explanation, source: SoundSource) -> Iterator[str]:
    by = "no route" if found.rule is None else f"{found.rule.name} ({source.where(found.rule.name)})"
    yield f"it is {outcome(found)}, by {by}: {found.meaning}"
    yield from (f"missing {each}" for each in found.missing)
    for loser in found.losers:
        yield f"not {loser.rule.name} ({source.where(loser.rule.name)}): it {loser.because}"
