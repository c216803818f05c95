"""The tour of the demo: what is asked, and exactly what must come back. Data; `demo` does the asking.

The same rows go through every gateway, and the same answer is expected from each.
"""

from dataclasses import dataclass, field
from enum import Enum

CACHE_SECONDS = 5
"""`cache.ttl` in examples/extauthz.yaml: how long a revoked token may go on working."""

Headers = tuple[tuple[str, str], ...]

NO_IDENTITY: Headers = ()
ALICE: Headers = (("x-auth-scope", "orders:read"), ("x-auth-sub", "alice"))
CAROL: Headers = (("x-auth-scope", "orders:read payments:write"), ("x-auth-sub", "carol"))
DAVE: Headers = (("x-auth-scope", "orders:read"), ("x-auth-sub", "dave"))
ERIN: Headers = (("x-auth-scope", "orders:read"), ("x-auth-sub", "erin"))
FRANK: Headers = (("x-auth-scope", "orders:read"), ("x-auth-sub", "frank"))
MACHINE: Headers = (("x-auth-scope", "orders:read"),)

UNAUTHENTICATED = 'Bearer realm="api"'
MALFORMED = f'{UNAUTHENTICATED}, error="invalid_request", error_description="The Authorization header is malformed"'
INVALID = f'{UNAUTHENTICATED}, error="invalid_token", error_description="The access token is invalid or expired"'
TOO_LITTLE = (
    f'{UNAUTHENTICATED}, error="insufficient_scope", '
    'error_description="The access token does not have the required scope", scope="orders:read"'
)

FORGED: Headers = (
    ("X-Auth-Sub", "root"),
    ("X-Auth-Scope", "orders:admin"),
    ("X.Auth.Sub", "root"),
    ("X-Envoy-Auth-Failure-Mode-Allowed", "true"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Original-URL", "/payments/1"),
)
WATCHED = frozenset(name.lower() for name, _ in FORGED)
"""What the upstream must not believe unless it comes from extauthz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client sends."""

    method: str = "GET"
    target: str
    headers: Headers = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What must come back, or did.

    Attributes:
        status: the HTTP status.
        challenges: the values of all `WWW-Authenticate` lines.
        retry_after: whether there is a `Retry-After`.
        identity: the `WATCHED` headers as the upstream saw them, sorted; None when it was not asked at all.
    """

    status: int
    challenges: tuple[str, ...] = ()
    retry_after: bool = False
    identity: Headers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request and its answer.

    Attributes:
        within_seconds: how long another answer may come before the expected one; 0 means not at all.
    """

    title: str
    request: Request
    expected: Answer
    within_seconds: float = 0.0


class Act(Enum):
    """What happens before the rows of a chapter."""

    NOTHING = "nothing"
    REVOKE = "revoke the tokens of Carol and Erin"
    STOP_SERVER = "stop the authorization server"
    START_SERVER = "start the authorization server again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Some rows that belong together."""

    title: str
    act: Act = Act.NOTHING
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tokens:
    """The tokens of the tour, named by whom they stand for.

    Attributes:
        alice: may read orders.
        bob: valid, with no scope for orders.
        carol: may read orders and pay; revoked on the way.
        dave: like Alice's, but not shown to any gateway before the authorization server is gone.
        erin: like Alice's; revoked on the way.
        frank: like Alice's, first shown just before the authorization server goes.
        machine: a program's own token: a scope, but nobody's name.
    """

    alice: str
    bob: str
    carol: str
    dave: str
    erin: str
    frank: str
    machine: str


def tour(tokens: Tokens) -> tuple[Chapter, ...]:
    """All chapters, in the order in which they make sense."""
    return (
        Chapter(title="Is there a good token?", rows=_credentials(tokens)),
        Chapter(title="May it do this?", rows=_permissions(tokens)),
        Chapter(title="Nobody names their own identity", rows=_forgeries(tokens)),
        Chapter(title="Two tokens before they are revoked", rows=_before_revocation(tokens)),
        Chapter(title="They are revoked", act=Act.REVOKE, rows=_after_revocation(tokens)),
        Chapter(title="Before the authorization server goes away", rows=(_frank("a token becomes known", tokens),)),
        Chapter(title="The authorization server is down", act=Act.STOP_SERVER, rows=_outage(tokens)),
        Chapter(title="It is back", act=Act.START_SERVER, rows=_recovery(tokens)),
    )


def _credentials(tokens: Tokens) -> tuple[Row, ...]:
    return (
        Row(title="no token", request=Request(target="/orders/1"), expected=_refused(401, UNAUTHENTICATED)),
        Row(title="malformed: Bearer a b", request=_with("a b"), expected=_refused(400, MALFORMED)),
        Row(title="a token nobody issued", request=_with("never-issued"), expected=_refused(401, INVALID)),
        Row(title="Alice's token", request=_with(tokens.alice), expected=_served(ALICE)),
    )


def _permissions(tokens: Tokens) -> tuple[Row, ...]:
    alice = _bearer(tokens.alice)
    return (
        Row(title="Bob's token, without the scope", request=_with(tokens.bob), expected=_refused(403, TOO_LITTLE)),
        Row(title="a public route", request=Request(target="/healthz"), expected=_served(NO_IDENTITY)),
        Row(title="no such route", request=Request(target="/admin", headers=alice), expected=_refused(403)),
        Row(
            title="no such method on a route",
            request=Request(method="DELETE", target="/orders/1", headers=alice),
            expected=_refused(403),
        ),
        Row(
            title="a path with two readings",
            request=Request(target="/orders/..%2fme", headers=alice),
            expected=_refused(400),
        ),
    )


def _forgeries(tokens: Tokens) -> tuple[Row, ...]:
    return (
        Row(title="forged, with Alice's token", request=_with(tokens.alice, FORGED), expected=_served(ALICE)),
        Row(title="forged, with a nameless token", request=_with(tokens.machine, FORGED), expected=_served(MACHINE)),
        Row(
            title="forged, on a public route",
            request=Request(target="/healthz", headers=FORGED),
            expected=_served(NO_IDENTITY),
        ),
        Row(
            title="forged, where the gateway does not ask",
            request=Request(target="/gateway-health", headers=FORGED),
            expected=_served(NO_IDENTITY),
        ),
    )


def _before_revocation(tokens: Tokens) -> tuple[Row, ...]:
    return (
        Row(title="Carol pays", request=_payment(tokens.carol), expected=_served(CAROL)),
        Row(title="Erin reads an order", request=_with(tokens.erin), expected=_served(ERIN)),
    )


def _after_revocation(tokens: Tokens) -> tuple[Row, ...]:
    return (
        Row(
            title="Carol pays: freshness live knows at once",
            request=_payment(tokens.carol),
            expected=_refused(401, INVALID),
        ),
        Row(
            title=f"Erin reads an order: the cache knows within {CACHE_SECONDS} s",
            request=_with(tokens.erin),
            expected=_refused(401, INVALID),
            within_seconds=CACHE_SECONDS + 1,
        ),
    )


def _outage(tokens: Tokens) -> tuple[Row, ...]:
    unavailable = Answer(status=503, retry_after=True)
    return (
        _frank("the known token is still served", tokens),
        Row(title="a token seen for the first time", request=_with(tokens.dave), expected=unavailable),
        Row(title="freshness live trusts no cache", request=_payment(tokens.alice), expected=unavailable),
    )


def _recovery(tokens: Tokens) -> tuple[Row, ...]:
    return (
        Row(
            title="the token that had to wait",
            request=_with(tokens.dave),
            expected=_served(DAVE),
            within_seconds=10,
        ),
    )


def _frank(title: str, tokens: Tokens) -> Row:
    return Row(title=title, request=_with(tokens.frank), expected=_served(FRANK))


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _with(token: str, headers: Headers = ()) -> Request:
    """Read an order with this token."""
    return Request(target="/orders/1", headers=(*_bearer(token), *headers))


def _payment(token: str) -> Request:
    return Request(method="POST", target="/payments/1", headers=_bearer(token))


def _served(identity: Headers) -> Answer:
    return Answer(status=200, identity=identity)


def _refused(status: int, *challenges: str) -> Answer:
    return Answer(status=status, challenges=challenges)
