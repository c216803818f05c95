"""One answer about many tokens, in the order in which they were asked about.

    {"responses": [{"active": true, …}, {"active": false}, …]}

RFC 7662 knows no such thing; servers that have it answer like this. Each element is read exactly as a single answer
would be, and which token it belongs to is known by its place alone: so a list that is not as long as the question is
about nothing at all.
"""

from collections.abc import Sequence
from typing import Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Answer, TokenState, Unavailable, read_answer, read_members, read_object
from extauthz.core.leniency import STRICT, Leniency

MAX_BATCH_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""A larger answer about many tokens is refused unread."""

_NO_VERDICT: Final = Unavailable(
    reason=Reason.SERVER_ANSWER_INVALID, detail="the server does not accept our batch of tokens: is this its endpoint?"
)


def read_batch_answer(
    answer: Answer,
    *,
    count: int,
    issuer: str | None,
    leniency: Leniency = STRICT,
    token_type_required: bool = False,
) -> Sequence[TokenState] | Unavailable:
    """The states of `count` tokens, or why nothing is known about any of them."""
    if answer.status != 200:  # noqa: PLR2004 - an HTTP status
        trouble = read_answer(answer, issuer=issuer, answers_others=False)
        return trouble if isinstance(trouble, Unavailable) else _NO_VERDICT
    members = read_object(answer, max_bytes=MAX_BATCH_ANSWER_BYTES)
    if isinstance(members, Unavailable):
        return members
    responses = members.get("responses")
    if not isinstance(responses, list) or not all(isinstance(response, dict) for response in responses):
        return _invalid("member 'responses' is not a list of objects")
    if len(responses) != count:
        return _invalid(f"the answer has {len(responses)} responses to {count} tokens")
    return [
        read_members(response, issuer=issuer, leniency=leniency, token_type_required=token_type_required)
        for response in responses
    ]


def _invalid(detail: str) -> Unavailable:
    return Unavailable(reason=Reason.SERVER_ANSWER_INVALID, detail=detail)
