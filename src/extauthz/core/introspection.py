"""What an authorization server says about a token (RFC 7662 §2.2), read with suspicion.

`read_answer` turns one HTTP answer into one of three states and never raises. Anything that is not
plainly "active" or "inactive" is `Unavailable`: a server in trouble must not look like a bad token,
because clients throw bad tokens away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from extauthz.core.decision import Reason
from extauthz.core.leniency import STRICT, Leniency, standard_shapes
from extauthz.core.scopes import read_scope
from extauthz.core.shared import shared_names, shared_text
from extauthz.core.strict_json import GarbageError as _GarbageError, strict_object

MAX_ANSWER_BYTES = 256 * 1024
"""A larger introspection answer is refused unread."""

MAX_RETRY_AFTER_SECONDS = 300
"""However long a busy server asks us to wait, clients are not told to wait longer."""

_NO_CLAIMS: Mapping[str, Any] = {}
_OWN_MEMBERS = frozenset(
    ("active", "scope", "sub", "client_id", "username", "iss", "jti", "aud", "exp", "nbf", "iat", "token_type")
)
_MAX_NUMERIC_DATE = 2**53
_NOT_ACCESS_TOKENS = frozenset({"refresh_token", "id_token", "refresh", "offline", "id"})
_CHARSET_UTF_8 = re.compile(r'charset="?utf-?8"?\s*(?:;|\Z)', re.IGNORECASE)
_FORBIDDEN_IN_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A live access token.

    Times are seconds since the epoch; `scope` keeps the server's order without duplicates; `claims` are the members of
    the answer that have no field of their own, as JSON has them. `rendered` says nothing about the token: there
    `core.identity` remembers what it made of the claims.
    """

    scopes: frozenset[str]
    scope: str = ""
    sub: str | None = None
    client_id: str | None = None
    username: str | None = None
    iss: str | None = None
    jti: str | None = None
    aud: tuple[str, ...] = ()
    exp: float | None = None
    nbf: float | None = None
    claims: Mapping[str, Any] = field(default_factory=lambda: _NO_CLAIMS, repr=False)
    rendered: object = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """Not a token that we accept. `cacheable` is False where the answer may concern more than this token."""

    reason: Reason = Reason.INACTIVE
    cacheable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """We could not learn what the token is. `retry_after` in seconds; `detail` is for the log, never for a client."""

    reason: Reason
    detail: str
    retry_after: int = 0


TokenState = Active | Inactive | Unavailable


LEVELS = ("memory", "shared", "joined", "server", "jwt", "stale", "refused")
"""Where an answer came from: this process's cache; the cache that processes share; another caller's question in flight;
the authorization server; the token's own signature; the cache although the answer is too old, because the server cannot
be asked; or nowhere, because the token cannot be one of the server's, or its sender has sent too many bad ones."""


class Resolution(NamedTuple):
    """What a token is and how we know. A tuple, because several are made for every question.

    Attributes:
        state: the token's state.
        level: where the answer came from, as `LEVELS` has it.
        fresh_until: monotonic seconds until which this answer may be repeated without asking again.
        asked_at: monotonic seconds at which the server was asked; long ago when nobody says.
        took_seconds: how long the server took, when it was asked for this caller; else 0.
    """

    state: TokenState
    level: str
    fresh_until: float = 0.0
    asked_at: float = float("-inf")
    took_seconds: float = 0.0


class Answer(NamedTuple):
    """One HTTP answer of an introspection endpoint."""

    status: int
    content_type: str
    body: bytes
    retry_after: str = ""


def read_answer(
    answer: Answer,
    *,
    issuer: str | None,
    answers_others: bool,
    leniency: Leniency = STRICT,
    token_type_required: bool = False,
) -> TokenState:
    """Read an introspection answer.

    Args:
        answer: what came back.
        issuer: the `iss` that this server must name if it names one; None when it is not known.
        answers_others: whether this server has answered properly before. It decides whether a 400
            `invalid_request` speaks about this token or about our configuration.
        leniency: which shapes beside the standard's this server may use.
        token_type_required: whether a token without `token_type` is no access token. Some servers leave the member
            out of what they say about a refresh token, and say nothing else that would give it away.
    """
    match answer.status:
        case 200:
            return _read_ok(answer, issuer, leniency, token_type_required=token_type_required)
        case 400:
            return _read_bad_request(answer, answers_others=answers_others)
        case 401 | 403:
            return Unavailable(
                reason=Reason.SERVER_REFUSED_US,
                detail=f"status {answer.status}: check the client id, secret and its permission to introspect",
            )
        case 429:
            return Unavailable(
                reason=Reason.SERVER_BUSY, detail="status 429", retry_after=_retry_after(answer.retry_after)
            )
        case status if status >= 500:  # noqa: PLR2004 - the HTTP status class
            return Unavailable(
                reason=Reason.SERVER_ERROR, detail=f"status {status}", retry_after=_retry_after(answer.retry_after)
            )
        case status:
            return Unavailable(
                reason=Reason.SERVER_ANSWER_INVALID, detail=f"status {status}: is this the introspection endpoint?"
            )


def _read_ok(answer: Answer, issuer: str | None, leniency: Leniency, *, token_type_required: bool) -> TokenState:
    members = read_object(answer)
    if isinstance(members, Unavailable):
        return members
    return read_members(members, issuer=issuer, leniency=leniency, token_type_required=token_type_required)


def read_object(answer: Answer, *, max_bytes: int = MAX_ANSWER_BYTES) -> Mapping[str, Any] | Unavailable:
    """The JSON object that an answer consists of; anything else is trouble."""
    try:
        return _strict_object(answer, max_bytes)
    except _GarbageError as garbage:
        return Unavailable(reason=Reason.SERVER_ANSWER_INVALID, detail=str(garbage))


def read_members(
    members: Mapping[str, Any],
    *,
    issuer: str | None,
    leniency: Leniency = STRICT,
    token_type_required: bool = False,
) -> TokenState:
    """What the members of one such object say about one token (RFC 7662 §2.2); the arguments are as for `read_answer`."""
    try:
        state = _read_members(standard_shapes(members, leniency), issuer)
    except _GarbageError as garbage:
        return Unavailable(reason=Reason.SERVER_ANSWER_INVALID, detail=str(garbage))
    if isinstance(state, Active) and token_type_required and not isinstance(members.get("token_type"), str):
        return Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)
    return state


def _read_members(members: Mapping[str, Any], issuer: str | None) -> TokenState:
    active = members.get("active")
    if active is False:
        return Inactive()
    if active is not True:
        raise _GarbageError("member 'active' is not true or false")
    state = Active(
        sub=_text(members, "sub"),
        client_id=shared_text(_text(members, "client_id")),
        username=_text(members, "username"),
        iss=shared_text(_text(members, "iss")),
        jti=_text(members, "jti"),
        aud=_audience(members.get("aud")),
        exp=_numeric_date(members, "exp"),
        nbf=_numeric_date(members, "nbf"),
        claims=_other_claims(members),
        **_scope(members.get("scope")),
    )
    if issuer is not None and state.iss not in (None, issuer):
        return Inactive(reason=Reason.WRONG_ISSUER)
    kinds = _kinds(members)
    if kinds & _NOT_ACCESS_TOKENS:
        return Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)
    if members.get("cnf") is not None or "dpop" in kinds:
        return Inactive(reason=Reason.SENDER_CONSTRAINED)
    return state


def _other_claims(members: Mapping[str, Any]) -> Mapping[str, Any]:
    others = {name: value for name, value in members.items() if name not in _OWN_MEMBERS}
    return others or _NO_CLAIMS


def _kinds(members: Mapping[str, Any]) -> set[str]:
    """What the server calls the token; no standard member tells access, refresh and ID tokens apart."""
    names = (members.get(key) for key in ("token_use", "token_type", "typ"))
    return {name.lower() for name in names if isinstance(name, str)}


def _scope(value: object) -> dict[str, Any]:
    scopes, scope = read_scope(value if isinstance(value, str) else "")
    return {"scopes": scopes, "scope": scope}


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _GarbageError(f"member {name!r} is not a string")
    if _FORBIDDEN_IN_TEXT.search(value):
        raise _GarbageError(f"member {name!r} has a control character")
    return value


def _audience(value: object) -> tuple[str, ...]:
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise _GarbageError("member 'aud' is neither a string nor a list of strings")
    return shared_names(tuple(cast("list[str]", values)))


def _numeric_date(members: Mapping[str, Any], name: str) -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_NUMERIC_DATE:
        raise _GarbageError(f"member {name!r} is not a time in seconds")
    return float(int(value))


def _read_bad_request(answer: Answer, *, answers_others: bool) -> TokenState:
    try:
        error = _strict_object(answer).get("error")
    except _GarbageError:
        error = None
    if error == "unsupported_token_type":
        return Inactive()
    if error == "invalid_request" and answers_others:
        return Inactive(cacheable=False)
    if error in ("invalid_client", "unauthorized_client"):
        return Unavailable(reason=Reason.SERVER_REFUSED_US, detail=f"status 400: {error}")
    return Unavailable(
        reason=Reason.SERVER_ANSWER_INVALID, detail="status 400: the server does not accept our introspection request"
    )


def _retry_after(value: str) -> int:
    """Seconds; a date, which the header may also hold, is read as no time at all."""
    return min(int(value[:9]), MAX_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else 0


def _strict_object(answer: Answer, max_bytes: int = MAX_ANSWER_BYTES) -> Mapping[str, Any]:
    _check_content_type(answer.content_type)
    if len(answer.body) > max_bytes:
        raise _GarbageError(f"the answer is larger than {max_bytes} bytes")
    return strict_object(answer.body)


def _check_content_type(header: str) -> None:
    media_type, _, parameters = header.partition(";")
    if media_type.strip().lower() != "application/json":
        raise _GarbageError("the content type is not application/json")
    if parameters.lower().count("charset") != len(_CHARSET_UTF_8.findall(parameters)):
        raise _GarbageError("the charset is not UTF-8")
