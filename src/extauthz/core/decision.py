"""What we answer, and why. A verdict is never a bool: it is `Allow` or `Deny`, and each has a reason.

`Reason` is one word for one cause, the same in the log line, the metric label and `X-Authz-Reason`.
`OUTCOMES` fixes the HTTP status, the google.rpc code and the RFC 6750 error of every denial; no other
module maps a reason to a status.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a request passed or not. Stable: operators build alerts on these words."""

    ALLOWED = "allowed"
    ALLOWED_STALE = "allowed_stale"
    PUBLIC = "public"
    SHADOW = "shadow"

    BAD_METHOD = "bad_method"
    BAD_HOST = "bad_host"
    BAD_PATH = "bad_path"
    BAD_METADATA = "bad_metadata"
    NO_ROUTE = "no_route"

    NO_CREDENTIALS = "no_credentials"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    MALFORMED_CREDENTIALS = "malformed_credentials"
    SEVERAL_CREDENTIALS = "several_credentials"

    INACTIVE = "inactive"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    NOT_AN_ACCESS_TOKEN = "not_an_access_token"  # noqa: S105 - a reason, not a password
    SENDER_CONSTRAINED = "sender_constrained"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INSUFFICIENT_DETAILS = "insufficient_details"
    WRONG_CLIENT = "wrong_client"
    WRONG_ACTOR = "wrong_actor"
    NO_SUBJECT = "no_subject"
    WRONG_CLAIM = "wrong_claim"

    SERVER_UNREACHABLE = "server_unreachable"
    SERVER_TIMEOUT = "server_timeout"
    SERVER_ERROR = "server_error"
    SERVER_BUSY = "server_busy"
    SERVER_ANSWER_INVALID = "server_answer_invalid"
    SERVER_REFUSED_US = "server_refused_us"
    SERVER_CIRCUIT_OPEN = "server_circuit_open"
    OVERLOADED = "overloaded"
    TOO_MANY_INACTIVE = "too_many_inactive"
    IDENTITY_NOT_FORWARDABLE = "identity_not_forwardable"
    UNTRUSTED_PEER = "untrusted_peer"
    MISCONFIGURED_GATEWAY = "misconfigured_gateway"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    ABANDONED = "abandoned"
    INTERNAL = "internal"


ALLOWING = frozenset({Reason.ALLOWED, Reason.ALLOWED_STALE, Reason.PUBLIC, Reason.SHADOW})
"""Reasons of an `Allow`; all others are reasons of a `Deny`."""


OUTAGES = frozenset(
    {
        Reason.SERVER_UNREACHABLE,
        Reason.SERVER_TIMEOUT,
        Reason.SERVER_ERROR,
        Reason.SERVER_BUSY,
        Reason.SERVER_ANSWER_INVALID,
        Reason.SERVER_REFUSED_US,
        Reason.SERVER_CIRCUIT_OPEN,
        Reason.OVERLOADED,
    }
)
"""Reasons that say nothing about the request: the authorization server could not be asked."""


class Code:
    """The google.rpc.Code values we answer with."""

    OK = 0
    INVALID_ARGUMENT = 3
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a denial looks: HTTP status, google.rpc code, RFC 6750 `error` (empty when the challenge has none)."""

    status: int
    code: int
    error: str = ""
    challenged: bool = False


_REFUSED_REQUEST = Outcome(status=400, code=Code.INVALID_ARGUMENT)
_NO_CREDENTIALS = Outcome(status=401, code=Code.UNAUTHENTICATED, challenged=True)
_INVALID_REQUEST = Outcome(status=400, code=Code.INVALID_ARGUMENT, error="invalid_request", challenged=True)
_INVALID_TOKEN = Outcome(status=401, code=Code.UNAUTHENTICATED, error="invalid_token", challenged=True)
_INSUFFICIENT = Outcome(status=403, code=Code.PERMISSION_DENIED, error="insufficient_scope", challenged=True)
_FORBIDDEN = Outcome(status=403, code=Code.PERMISSION_DENIED)
_UNAVAILABLE = Outcome(status=503, code=Code.UNAVAILABLE)
_INTERNAL = Outcome(status=500, code=Code.INTERNAL)

OUTCOMES: dict[Reason, Outcome] = {
    Reason.BAD_METHOD: _REFUSED_REQUEST,
    Reason.BAD_HOST: _REFUSED_REQUEST,
    Reason.BAD_PATH: _REFUSED_REQUEST,
    Reason.BAD_METADATA: _REFUSED_REQUEST,
    Reason.NO_ROUTE: _FORBIDDEN,
    Reason.NO_CREDENTIALS: _NO_CREDENTIALS,
    Reason.UNSUPPORTED_SCHEME: _NO_CREDENTIALS,
    Reason.MALFORMED_CREDENTIALS: _INVALID_REQUEST,
    Reason.SEVERAL_CREDENTIALS: _INVALID_REQUEST,
    Reason.INACTIVE: _INVALID_TOKEN,
    Reason.EXPIRED: _INVALID_TOKEN,
    Reason.NOT_YET_VALID: _INVALID_TOKEN,
    Reason.WRONG_ISSUER: _INVALID_TOKEN,
    Reason.WRONG_AUDIENCE: _INVALID_TOKEN,
    Reason.NOT_AN_ACCESS_TOKEN: _INVALID_TOKEN,
    Reason.SENDER_CONSTRAINED: _INVALID_TOKEN,
    Reason.INSUFFICIENT_SCOPE: _INSUFFICIENT,
    Reason.INSUFFICIENT_DETAILS: _INSUFFICIENT,
    Reason.WRONG_CLIENT: _FORBIDDEN,
    Reason.WRONG_ACTOR: _FORBIDDEN,
    Reason.NO_SUBJECT: _FORBIDDEN,
    Reason.WRONG_CLAIM: _FORBIDDEN,
    Reason.SERVER_UNREACHABLE: _UNAVAILABLE,
    Reason.SERVER_TIMEOUT: _UNAVAILABLE,
    Reason.SERVER_ERROR: _UNAVAILABLE,
    Reason.SERVER_BUSY: _UNAVAILABLE,
    Reason.SERVER_ANSWER_INVALID: _UNAVAILABLE,
    Reason.SERVER_REFUSED_US: _UNAVAILABLE,
    Reason.SERVER_CIRCUIT_OPEN: _UNAVAILABLE,
    Reason.OVERLOADED: _UNAVAILABLE,
    Reason.TOO_MANY_INACTIVE: Outcome(status=429, code=Code.RESOURCE_EXHAUSTED),
    Reason.IDENTITY_NOT_FORWARDABLE: _UNAVAILABLE,
    Reason.UNTRUSTED_PEER: _FORBIDDEN,
    Reason.MISCONFIGURED_GATEWAY: _INTERNAL,
    Reason.AUDIT_UNAVAILABLE: _UNAVAILABLE,
    Reason.ABANDONED: _UNAVAILABLE,
    Reason.INTERNAL: _INTERNAL,
}

RETRY_AFTER_SECONDS = 1
"""What a 429 or 503 tells the client when the authorization server named no time of its own."""


class Allow(NamedTuple):
    """The request may pass. A tuple, because one is made for every request.

    Attributes:
        reason: `ALLOWED`; `ALLOWED_STALE` when the answer about the token is older than it should be, because the
            authorization server cannot be asked; `PUBLIC` when the route asks for no token;
            `SHADOW` when the route only tries out what it asks for, and would have denied.
        rule: name of the rule that decided.
        identity: request headers for the upstream, lower-case names, each name once.
        absent: identity headers that must *not* reach the upstream, whatever the client sent.
        cache_seconds: how long a gateway may keep this answer; 0 means not at all.
        shadow: for what reason it would have been denied, where that is the reason `SHADOW`.
    """

    reason: Reason
    rule: str
    identity: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]
    cache_seconds: int = 0
    shadow: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The request must not pass.

    Attributes:
        reason: the cause; it fixes the status by `OUTCOMES`.
        rule: name of the rule that decided, empty when none was found.
        challenge: the `WWW-Authenticate` value (RFC 6750 §3), empty when there is none.
        retry_after: seconds for `Retry-After`; only with status 429 and 503.
        cross_origin: browsers shall show the challenge to pages of other origins.
    """

    reason: Reason
    rule: str = ""
    challenge: str = ""
    retry_after: int = 0
    cross_origin: bool = False

    @property
    def outcome(self) -> Outcome:
        """Status, code and error of this denial; the strictest for a reason that nobody mapped."""
        return OUTCOMES.get(self.reason, _INTERNAL)


Decision = Allow | Deny


def true_reason(decision: Decision) -> Reason:
    """The reason, also where a shadow route did not act upon it."""
    return decision.reason if isinstance(decision, Deny) else decision.shadow or decision.reason


def deny(
    reason: Reason, *, rule: str = "", challenge: str = "", retry_after: int = 0, cross_origin: bool = False
) -> Deny:
    """A denial whose `Retry-After` is never missing on a 429 or a 503."""
    retry_after = max(retry_after, RETRY_AFTER_SECONDS) if OUTCOMES[reason].status in (429, 503) else 0
    return Deny(reason=reason, rule=rule, challenge=challenge, retry_after=retry_after, cross_origin=cross_origin)


EXPOSED = ("access-control-expose-headers", "WWW-Authenticate")
"""What makes a browser show the challenge to a page of another origin (Fetch §3.3.4)."""
