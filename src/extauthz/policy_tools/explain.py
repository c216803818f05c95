"""Why a request ends as it does: which rule, why no other, what is missing, and the answer of each door."""

from dataclasses import dataclass

from extauthz.authorizer import judge
from extauthz.core.decision import Decision, Deny, Reason, true_reason
from extauthz.core.introspection import TokenState
from extauthz.core.missing import missing
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.core.routes import Trace
from extauthz.observe.events import Checked
from extauthz.policy_tools.ask import ask
from extauthz.policy_tools.doors import Answer, answers
from extauthz.policy_tools.losers import Loser, look_alike, losers
from extauthz.policy_tools.reasons import MEANINGS
from extauthz.policy_tools.samples import Place
from extauthz.policy_tools.source import SoundSource
from extauthz.wire.envoy.encode import left_to_gateway
from extauthz.wire.envoy.service import Options

_AS_IT_COMES = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that can be said about one request.

    Attributes:
        request: the question.
        place: its host and path as routes are looked up; None when they have no one meaning.
        checked: the engine's answer, as the record would have it.
        rule: the rule that decided, if any did.
        trace: every turn of the look-up.
        losers: rules whose path fits, that did not decide.
        look_alike: where no path fits, the rule whose path looks most like it.
        missing: what the token lacks.
        answers: what each door says.
        left_to_gateway: over gRPC it is no denial but an outage, about which the gateway's own failure mode decides.
    """

    request: AuthRequest
    place: Place | None
    checked: Checked
    rule: Rule | None
    trace: Trace
    losers: list[Loser]
    look_alike: Rule | None
    missing: list[str]
    answers: list[Answer]
    left_to_gateway: bool

    @property
    def decision(self) -> Decision:
        """Allow or deny."""
        return self.checked.decision

    @property
    def reason(self) -> Reason:
        """The one word for it."""
        return self.decision.reason

    @property
    def true_reason(self) -> Reason:
        """The same, but of a shadow route the reason for which it would have denied."""
        return true_reason(self.decision)

    @property
    def status(self) -> int:
        """For the client; 200 when the request passes."""
        return self.decision.outcome.status if isinstance(self.decision, Deny) else 200

    @property
    def meaning(self) -> str:
        """The reason in a sentence."""
        return MEANINGS[self.reason]


def rule_for(source: SoundSource, request: AuthRequest) -> Rule | None:
    """The rule that decides about the request itself."""
    table = source.snapshot.routes
    place = judge(request, host_needed=table.uses_hosts)
    return None if isinstance(place, Reason) else table.match(request.method, *place)


def explain(
    source: SoundSource, request: AuthRequest, state: TokenState | None, now: float, options: Options = _AS_IT_COMES
) -> Explanation:
    """Explain one request, whose token, if it has one, is in that state.

    `now` is in seconds since the epoch; `options` are those of Envoy's door, which matter in an outage.
    """
    table = source.snapshot.routes
    checked = ask(source.snapshot, request, state, now)
    judged = judge(request, host_needed=table.uses_hosts)
    place = None if isinstance(judged, Reason) else Place(*judged)
    trace: Trace = []
    if place is not None:
        table.match(request.method, *place, trace)
    beaten = [] if place is None else losers(table, request.method, place, trace)
    rule = next((each for each in table.rules if each.name == checked.decision.rule), None)
    lost = rule is None and place is not None and not beaten
    return Explanation(
        request=request,
        place=place,
        checked=checked,
        rule=rule,
        trace=trace,
        losers=beaten,
        look_alike=look_alike(table, place.path) if lost and place is not None else None,
        missing=[] if rule is None else missing(rule, state, true_reason(checked.decision)),
        answers=answers(checked, options),
        left_to_gateway=options.outage_is_error and left_to_gateway(checked.decision),
    )
