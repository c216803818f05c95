"""What a token lacks for a rule, in words: for whoever asks beforehand, and for the record."""

from collections.abc import Callable, Iterator, Mapping

from extauthz.core.decision import Reason
from extauthz.core.demands import Demands
from extauthz.core.introspection import Active, TokenState
from extauthz.core.policy import Rule
from extauthz.core.scopes import held_scopes


def missing(rule: Rule, state: TokenState | None, reason: Reason) -> list[str]:
    """What would have to be different about the token, by the reason of the denial; nothing where no token can help."""
    tell = _TELLERS.get(reason)
    return [*tell(rule, state)] if tell is not None and isinstance(state, Active) else []


def lacking_scopes(rule: Rule, token: Active) -> list[tuple[str, ...]]:
    """For each list of scopes that would do, what the token lacks of it; nothing when it has one completely."""
    held = held_scopes(token.scopes, rule.implications)
    lacking = [tuple(sorted(words - held)) for words in rule.alternatives]
    return lacking if all(lacking) else []


def _scopes(rule: Rule, token: Active) -> Iterator[str]:
    lacking = lacking_scopes(rule, token)
    holds = f"the token holds {' '.join(sorted(token.scopes)) or 'none'}"
    yield f"scope: {', or '.join(' and '.join(words) for words in lacking)}; {holds}"


def _audience(rule: Rule, token: Active) -> Iterator[str]:
    yield f"aud: the token is for {' '.join(token.aud) or 'nobody in particular'}, the route for {rule.audience}"


def _issuer(rule: Rule, token: Active) -> Iterator[str]:
    yield f"iss: one of {', '.join(sorted(rule.issuers))}; the token has {token.iss or 'none'}"


def _client(rule: Rule, token: Active) -> Iterator[str]:
    wanted = ", ".join(sorted(_demands(rule).clients))
    yield f"client_id: one of {wanted}; the token has {token.client_id or 'none'}"


def _actor(rule: Rule, _token: Active) -> Iterator[str]:
    yield f"act.sub: one of {', '.join(sorted(_demands(rule).actors))}"


def _details(rule: Rule, _token: Active) -> Iterator[str]:
    for detail in _demands(rule).details:
        words = " ".join((detail.type, *sorted(detail.actions), *sorted(detail.locations)))
        yield f"authorization_details: one element with {words}"


def _subject(_rule: Rule, _token: Active) -> Iterator[str]:
    yield "sub: the token of a user has one"


def _claims(rule: Rule, token: Active) -> Iterator[str]:
    yield from (f"claim: {each}" for each in _demands(rule).claims if not each.met_by(token))


def _demands(rule: Rule) -> Demands:
    return rule.demands or Demands()


_TELLERS: Mapping[Reason, Callable[[Rule, Active], Iterator[str]]] = {
    Reason.INSUFFICIENT_SCOPE: _scopes,
    Reason.WRONG_AUDIENCE: _audience,
    Reason.WRONG_ISSUER: _issuer,
    Reason.WRONG_CLIENT: _client,
    Reason.WRONG_ACTOR: _actor,
    Reason.INSUFFICIENT_DETAILS: _details,
    Reason.NO_SUBJECT: _subject,
    Reason.WRONG_CLAIM: _claims,
}
