"""An explanation as text, and as JSON."""

from collections.abc import Iterator
from typing import Any

from extauthz.core.decision import Allow, Deny
from extauthz.core.routes import Step, Turn
from extauthz.policy_tools.explain import Explanation
from extauthz.policy_tools.listing import needs
from extauthz.policy_tools.reasons import MEANINGS
from extauthz.policy_tools.source import Source

_TURNS = {
    Turn.HOST: "routes of host {}",
    Turn.REST: "{} fits, and is kept in mind",
    Turn.LITERAL: "{} fits literally, which comes before {{…}}",
    Turn.WHERE: "{} fits a constraint, which comes before {{…}} without one",
    Turn.BACK: "{} leads nowhere; what comes next is tried",
    Turn.TIED: "tied: {}",
    Turn.FOUND: "found: {}",
    Turn.NOTHING: "nothing fits {}",
}


def as_text(explanation: Explanation, source: Source, *, octets: bool = True) -> str:
    """For a reader: the outcome, the reason and what is missing first."""
    return "\n".join(
        [*_head(explanation, source), *_others(explanation, source), *(_doors(explanation) if octets else ())]
    )


def outcome(explanation: Explanation) -> str:
    """The outcome in three words at most: `allow`, or `deny 403 insufficient_scope`."""
    if isinstance(explanation.decision, Allow):
        return "allow" if explanation.reason == "allowed" else f"allow ({explanation.reason})"
    return f"deny {explanation.status} {explanation.reason}"


def as_json(explanation: Explanation, source: Source) -> dict[str, Any]:
    """The same for machines; octets in hex."""
    rule, place = explanation.rule, explanation.place
    return {
        "outcome": "deny" if isinstance(explanation.decision, Deny) else "allow",
        "status": explanation.status,
        "reason": explanation.reason.value,
        "true_reason": explanation.true_reason.value,
        "meaning": explanation.meaning,
        "left_to_gateway": explanation.left_to_gateway,
        "place": None if place is None else {"host": place.host, "path": place.path},
        "rule": None if rule is None else {"name": rule.name, "where": source.where(rule.name), "needs": needs(rule)},
        "missing": explanation.missing,
        "identity": dict(explanation.decision.identity) if isinstance(explanation.decision, Allow) else {},
        "others": [
            {"name": loser.rule.name, "where": source.where(loser.rule.name), "because": loser.because}
            for loser in explanation.losers
        ],
        "trace": [_turn(step) for step in explanation.trace],
        "answers": [
            {"doors": answer.doors, "text": answer.text, "octets": answer.octets.hex()}
            for answer in explanation.answers
        ],
    }


def _head(explanation: Explanation, source: Source) -> Iterator[str]:
    request, place, rule = explanation.request, explanation.place, explanation.rule
    yield f"{request.method} {request.host}{request.target}"
    yield f"  outcome   {outcome(explanation)}"
    yield f"  because   {explanation.meaning}"
    if explanation.left_to_gateway:
        yield "  grpc      the gateway's own failure mode decides, not this denial (on_outage: gateway)"
    if explanation.true_reason is not explanation.reason:
        yield f"  would be  {explanation.true_reason}: {MEANINGS[explanation.true_reason]}"
    yield from (f"  missing   {each}" for each in explanation.missing)
    if rule is not None:
        methods = ",".join(rule.methods) or "any method"
        yield f"  rule      {rule.name} ({source.where(rule.name)}): {methods} {rule.host}{rule.path}"
        yield f"  needs     {needs(rule)}" + (f"; audience {rule.audience}" if rule.audience else "")
    else:
        yield "  rule      none"
    if place is not None and place.path != request.target.partition("?")[0]:
        yield f"  read as   {place}"
    yield f"  token     {_token(explanation)}"
    if isinstance(explanation.decision, Allow):
        yield from (f"  upstream  {name}: {value}" for name, value in explanation.decision.identity)
        yield from (f"  upstream  no {name}" for name in explanation.decision.absent)


def _token(explanation: Explanation) -> str:
    checked = explanation.checked
    if not explanation.request.authorization:
        return "none"
    if not checked.level:
        return "not looked at"
    known = {"scope": checked.scope, "sub": checked.sub, "client_id": checked.client_id}
    said = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    return said or "nothing is known about it but what the reason says"


def _others(explanation: Explanation, source: Source) -> Iterator[str]:
    for loser in explanation.losers:
        yield f"  not       {loser.rule.name} ({source.where(loser.rule.name)}): it {loser.because}"
    if explanation.look_alike is not None:
        near = explanation.look_alike
        yield f"  nearest   {near.path} of {near.name} ({source.where(near.name)}), which does not fit"
    yield from (f"  look-up   {_turn(step)}" for step in explanation.trace)


def _turn(step: Step) -> str:
    if step.turn in (Turn.FOUND, Turn.TIED):
        return _TURNS[step.turn].format(", ".join(rule.name for rule in step.rules))
    return _TURNS[step.turn].format(step.where or "every host")


def _doors(explanation: Explanation) -> Iterator[str]:
    for answer in explanation.answers:
        yield ""
        yield f"answer to {', '.join(answer.doors)} ({len(answer.octets)} bytes)"
        yield from (f"    {line}".rstrip() for line in answer.text.replace("\r\n", "\n").splitlines())
        if answer.doors == ("grpc",):
            yield from (f"    {answer.octets[at : at + 32].hex(' ', 4)}" for at in range(0, len(answer.octets), 32))
