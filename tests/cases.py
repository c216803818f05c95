"""The table of cases. Each is played through the bare engine and through every door, and must end the same way.

A difference that a gateway makes by itself, because it normalises or refuses first, is written at the case.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from support.stub_server import AUDIENCE, Reply, active, raw

POLICY = f"""
version: 1
realm: api
defaults:
  authorization_server: main
  audience: {AUDIENCE}
  identity_headers: {{x-auth-sub: sub, x-auth-scope: scope}}
routes:
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: list-orders, path: /orders, methods: [GET, HEAD], scopes: [orders:read]}}
  - {{name: create-order, path: /orders, methods: [POST], scopes: [orders:read, orders:write]}}
  - {{name: read-order, path: "/orders/{{id}}", methods: [GET], scopes: [orders:read]}}
  - {{name: order-lines, path: /orders/**, methods: [GET], scopes: [orders:lines]}}
  - {{name: export, path: /orders/export, methods: [GET], scopes: [orders:export]}}
  - name: admin
    path: /admin/**
    scopes: {{any_of: [[admin], [orders:read, orders:write]]}}
  - {{name: me, path: /me, methods: [GET], scopes: []}}
  - {{name: live, path: /live, methods: [GET], scopes: [], freshness: live}}
  - {{name: billing, path: /billing, methods: [GET], scopes: [], audience: "https://billing.example.com"}}
  - {{name: tenant, host: "*.tenant.example.com", path: /me, methods: [GET], scopes: [tenant]}}
"""

ANSWERS: dict[str, Callable[[], Reply]] = {
    "reader": active,
    "writer": lambda: active(scope="orders:read orders:write", sub="u2"),
    "admin": lambda: active(scope="admin", sub="root"),
    "capital": lambda: active(scope="Orders:Read"),
    "longer-scope": lambda: active(scope="orders:reader"),
    "scope-twice": lambda: active(scope="orders:read  orders:read b a"),
    "scope-list": lambda: active(scope=["orders:read"]),
    "no-scope": lambda: active(scope=None),
    "no-sub": lambda: active(sub=None),
    "no-exp": lambda: active(exp=None),
    "aud-list": lambda: active(aud=["x", AUDIENCE]),
    "no-aud": lambda: active(aud=None),
    "other-aud": lambda: active(aud="https://billing.example.com"),
    "other-issuer": lambda: active(iss="https://evil.example.com"),
    "inactive-with-members": lambda: raw(b'{"active":false,"scope":"orders:read","sub":"u1"}'),
    "expired": lambda: active(exp=int(time.time()) - 100),
    "just-expired": lambda: active(exp=int(time.time()) - 10),
    "not-yet": lambda: active(nbf=int(time.time()) + 1000),
    "refresh": lambda: active(token_use="refresh_token"),
    "offline": lambda: active(typ="Offline"),
    "id-token": lambda: active(token_type="id_token"),
    "access-token-type": lambda: active(token_type="access_token"),
    "bound": lambda: active(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    "unsupported-type": lambda: Reply(status=400, body=b'{"error":"unsupported_token_type"}'),
    "active-text": lambda: raw(b'{"active":"true"}'),
    "active-one": lambda: raw(b'{"active":1}'),
    "active-missing": lambda: raw(b"{}"),
    "active-capital": lambda: raw(b'{"Active":true}'),
    "active-twice": lambda: raw(b'{"active":false,"active":true}'),
    "exp-nan": lambda: raw(b'{"active":true,"exp":NaN}'),
    "exp-text": lambda: active(exp="4102444800"),
    "sub-number": lambda: active(sub=7),
    "sub-newline": lambda: active(sub="a\r\nX-Auth-Scope: admin"),
    "sub-accent": lambda: active(sub="Zoë"),
    "sub-space": lambda: active(sub="Ann Other"),
    "huge-scope": lambda: active(scope="orders:read " + " ".join(f"scope{n}" for n in range(600))),
    "aud-number": lambda: active(aud=5),
    "html": lambda: Reply(body=b'{"active":true}', content_type="text/html"),
    "charset": lambda: Reply(body=active().body, content_type="application/json;charset=UTF-8"),
    "empty": lambda: raw(b""),
    "garbage": lambda: raw(b'{"active":true} garbage'),
    "too-large": lambda: raw(b'{"active":true,"x":"' + b"x" * 300_000 + b'"}'),
    "status-500": lambda: Reply(status=500),
    "status-302": lambda: Reply(status=302, headers={"location": "https://evil.example.com/"}),
    "status-404": lambda: Reply(status=404),
    "status-401": lambda: Reply(status=401),
    "status-403": lambda: Reply(status=403, content_type="text/html"),
    "status-429": lambda: Reply(status=429, headers={"retry-after": "7"}),
    "slow": lambda: Reply(slow=True),
    "dropped": lambda: Reply(dropped=True),
}
"""What the authorization server says about each token; all others are inactive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How a request ended, for the client and for the upstream.

    Attributes:
        status: for the client.
        challenge: the one `WWW-Authenticate`, or empty.
        reason: our word, or empty where a gateway refused by itself.
        retry_after: as told to the client, or empty.
        identity: identity headers that the upstream saw; None when it was not called.
    """

    status: int
    challenge: str = ""
    reason: str = ""
    retry_after: str = ""
    identity: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and how it ends. `envoy` and `nginx` say otherwise where that gateway itself changes the outcome.

    `shows` names statements of the register.
    """

    name: str
    expected: Seen
    method: str = "GET"
    target: str = "/orders/1"
    host: str = "api.example.com"
    authorization: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    envoy: Seen | None = None
    oldest_envoy: Seen | None = None
    nginx: Seen | None = None
    shows: tuple[str, ...] = ()


def bearer(token: str) -> tuple[str, ...]:
    return (f"Bearer {token}",)


NO_ERROR = 'Bearer realm="api"'
MALFORMED = 'Bearer realm="api", error="invalid_request", error_description="The Authorization header is malformed"'
SEVERAL = 'Bearer realm="api", error="invalid_request", error_description="More than one access token was sent"'
INVALID = 'Bearer realm="api", error="invalid_token", error_description="The access token is invalid or expired"'


def passed(sub: str = "u1", scope: str = "orders:read") -> Seen:
    identity = {name: value for name, value in (("x-auth-sub", sub), ("x-auth-scope", scope)) if value}
    return Seen(status=200, identity=identity)


def invalid(reason: str) -> Seen:
    return Seen(status=401, challenge=INVALID, reason=reason)


def unavailable(reason: str, retry_after: str = "1") -> Seen:
    return Seen(status=503, reason=reason, retry_after=retry_after)


def insufficient(scope: str) -> Seen:
    challenge = (
        'Bearer realm="api", error="insufficient_scope", '
        f'error_description="The access token does not have the required scope", scope="{scope}"'
    )
    return Seen(status=403, challenge=challenge, reason="insufficient_scope")


PUBLIC = Seen(status=200, identity={})
NO_ROUTE = Seen(status=403, reason="no_route")
BAD_PATH = Seen(status=400, reason="bad_path")
BY_GATEWAY = Seen(status=400)
WITHOUT_BODY = Seen(status=403)
"""The answer to HEAD has no body that could name the reason."""

NO_CREDENTIALS = Seen(status=401, challenge=NO_ERROR, reason="no_credentials")
UNSUPPORTED = Seen(status=401, challenge=NO_ERROR, reason="unsupported_scheme")
MALFORMED_400 = Seen(status=400, challenge=MALFORMED, reason="malformed_credentials")
SEVERAL_400 = Seen(status=400, challenge=SEVERAL, reason="several_credentials")
FORGED = (("X-Auth-Sub", "evil"), ("x-auth-scope", "admin"), ("X-AUTH-SUB", "evil2"))


def _credentials() -> list[Case]:
    """RFC 6750 §2.1 and §3.1: what is a bearer token, and what is said when it is not."""
    rows: list[tuple[str, tuple[str, ...], Seen, Seen | None]] = [
        ("no Authorization at all", (), NO_CREDENTIALS, None),
        ("an empty Authorization", ("",), NO_CREDENTIALS, None),
        ("a good token", bearer("reader"), passed(), None),
        ("a lower-case scheme", ("bearer reader",), passed(), None),
        ("an upper-case scheme", ("BEARER reader",), passed(), None),
        ("a mixed-case scheme", ("bEaReR reader",), passed(), None),
        ("several spaces after the scheme", ("Bearer   reader",), passed(), None),
        ("another scheme", ("Basic dXNlcjpwYXNz",), UNSUPPORTED, None),
        ("DPoP, which is not served", ("DPoP reader",), UNSUPPORTED, None),
        ("a scheme that only begins like Bearer", ("Bearerabc",), UNSUPPORTED, None),
        ("Bearer and nothing", ("Bearer",), MALFORMED_400, None),
        ("two words after Bearer", ("Bearer reader x",), MALFORMED_400, None),
        ("a quoted token", ('Bearer "reader"',), MALFORMED_400, None),
        ("padding in the middle", ("Bearer abc=d",), MALFORMED_400, None),
        ("a tab after Bearer", ("Bearer\treader",), MALFORMED_400, None),
        ("a token that is too long", ("Bearer " + "x" * 8193,), MALFORMED_400, BY_GATEWAY),
        ("two tokens merged with a comma", ("Bearer reader,Bearer writer",), SEVERAL_400, None),
        ("two tokens merged with comma and space", ("Bearer reader, Bearer writer",), SEVERAL_400, None),
        ("Basic merged with Bearer", ("Basic dXNlcjpwYXNz,Bearer reader",), SEVERAL_400, None),
        ("two Authorization lines", ("Bearer reader", "Bearer writer"), SEVERAL_400, BY_GATEWAY),
    ]
    return [
        Case(name=name, authorization=authorization, expected=expected, nginx=nginx)
        for name, authorization, expected, nginx in rows
    ]


def _answers() -> list[Case]:
    """RFC 7662 §2.2: what the server's answer means for the request."""
    rows = [
        ("no-exp", passed()),
        ("aud-list", passed()),
        ("access-token-type", passed()),
        ("charset", passed()),
        ("just-expired", passed()),
        ("scope-twice", passed(scope="orders:read b a")),
        ("sub-space", passed(sub="Ann Other")),
        ("no-sub", passed(sub="")),
        ("writer", passed(sub="u2", scope="orders:read orders:write")),
        ("capital", insufficient("orders:read")),
        ("longer-scope", insufficient("orders:read")),
        ("scope-list", insufficient("orders:read")),
        ("no-scope", insufficient("orders:read")),
        ("unknown", invalid("inactive")),
        ("inactive-with-members", invalid("inactive")),
        ("unsupported-type", invalid("inactive")),
        ("expired", invalid("expired")),
        ("not-yet", invalid("not_yet_valid")),
        ("no-aud", invalid("wrong_audience")),
        ("other-aud", invalid("wrong_audience")),
        ("other-issuer", invalid("wrong_issuer")),
        ("refresh", invalid("not_an_access_token")),
        ("offline", invalid("not_an_access_token")),
        ("id-token", invalid("not_an_access_token")),
        ("bound", invalid("sender_constrained")),
        *((token, unavailable("server_answer_invalid")) for token in _GARBAGE),
        ("sub-accent", unavailable("identity_not_forwardable")),
        ("huge-scope", unavailable("identity_not_forwardable")),
        ("status-500", unavailable("server_error")),
        ("status-401", unavailable("server_refused_us")),
        ("status-403", unavailable("server_refused_us")),
        ("status-429", unavailable("server_busy", retry_after="7")),
        ("slow", unavailable("server_timeout")),
        ("dropped", unavailable("server_unreachable")),
    ]
    return [Case(name=f"answer: {token}", authorization=bearer(token), expected=seen) for token, seen in rows]


_GARBAGE = [
    "active-text",
    "active-one",
    "active-missing",
    "active-capital",
    "active-twice",
    "exp-nan",
    "exp-text",
    "sub-number",
    "sub-newline",
    "aud-number",
    "html",
    "empty",
    "garbage",
    "too-large",
    "status-302",
    "status-404",
]


def _routes() -> list[Case]:
    """Which rule decides."""
    reader, writer, admin = bearer("reader"), bearer("writer"), bearer("admin")
    lines = insufficient("orders:lines")
    return [
        Case(name="a public route needs no token", target="/healthz", expected=PUBLIC),
        Case(name="a public route looks at no token", target="/healthz", authorization=bearer("x y"), expected=PUBLIC),
        Case(name="no route", target="/nowhere", authorization=reader, expected=NO_ROUTE),
        Case(name="no route without a token", target="/nowhere", expected=NO_ROUTE),
        Case(name="the path is case-sensitive", target="/Orders/1", authorization=reader, expected=NO_ROUTE),
        Case(name="a trailing slash is another path", target="/me/", authorization=reader, expected=NO_ROUTE),
        Case(name="a prefix is no match", target="/mean", authorization=reader, expected=NO_ROUTE),
        Case(name="a method that no rule lists", method="DELETE", target="/orders/1", authorization=reader, expected=NO_ROUTE),
        Case(name="HEAD is not GET", method="HEAD", target="/me", authorization=reader, expected=NO_ROUTE, envoy=WITHOUT_BODY, nginx=WITHOUT_BODY),
        Case(name="POST needs both scopes", method="POST", target="/orders", authorization=reader, expected=insufficient("orders:read orders:write")),
        Case(name="POST with both scopes", method="POST", target="/orders", authorization=writer, expected=passed("u2", "orders:read orders:write")),
        Case(name="a literal wins over a parameter", target="/orders/export", authorization=reader, expected=insufficient("orders:export")),
        Case(name="a parameter wins over the rest", target="/orders/7", authorization=reader, expected=passed()),
        Case(name="the rest takes what is deeper", target="/orders/7/lines", authorization=reader, expected=lines),
        Case(name="the rest takes the trailing slash", target="/orders/", authorization=reader, expected=lines),
        Case(name="any_of: the first set", target="/admin/x", authorization=admin, expected=passed("root", "admin")),
        Case(name="any_of: the second set", target="/admin", authorization=writer, expected=passed("u2", "orders:read orders:write")),
        Case(name="any_of: half of a set is none", target="/admin/x", authorization=reader, expected=insufficient("admin")),
        Case(name="any valid token", target="/me", authorization=bearer("no-scope"), expected=passed(scope="")),
        Case(name="any valid token is still a token", target="/me", expected=NO_CREDENTIALS),
        Case(name="a live route", target="/live", authorization=reader, expected=passed()),
        Case(name="another audience on another route", target="/billing", authorization=bearer("other-aud"), expected=passed()),
        Case(name="the first audience there", target="/billing", authorization=reader, expected=invalid("wrong_audience")),
        Case(name="a host of its own", target="/me", host="a.tenant.example.com", authorization=reader, expected=insufficient("tenant")),
        Case(name="a host in capitals with a port", target="/me", host="A.B.Tenant.Example.COM:443", authorization=reader, expected=insufficient("tenant")),
        Case(name="the bare suffix is no subdomain", target="/me", host="tenant.example.com", authorization=reader, expected=passed()),
        Case(name="the query plays no part", target="/me?x=/healthz", authorization=reader, expected=passed()),
        Case(name="a token in the query is no token", target="/me?access_token=reader", expected=NO_CREDENTIALS),
    ]  # fmt: skip


def _paths() -> list[Case]:
    """Paths with two meanings are refused before rule and token; Envoy settles some of them first."""
    to_admin = insufficient("admin")
    rows: list[tuple[str, Seen, Seen | None, Seen | None]] = [
        ("/healthz/../admin", BAD_PATH, to_admin, None),
        ("/healthz/%2e%2e/admin", BAD_PATH, to_admin, None),
        ("/healthz/./x", BAD_PATH, NO_ROUTE, None),
        ("/healthz/..%2fadmin", BAD_PATH, BY_GATEWAY, None),
        ("/healthz/..%5cadmin", BAD_PATH, BY_GATEWAY, None),
        ("/healthz%2f..%2fadmin", BAD_PATH, BY_GATEWAY, None),
        ("/healthz\\..\\admin", BAD_PATH, to_admin, None),
        ("/healthz/%252e%252e/admin", BAD_PATH, None, None),
        ("//admin", BAD_PATH, to_admin, None),
        ("/orders//1", BAD_PATH, passed(), None),
        ("/admin;x=1", BAD_PATH, None, None),
        ("/admin%00.png", BAD_PATH, BY_GATEWAY, BY_GATEWAY),
        ("/admin%0a", BAD_PATH, None, None),
        ("/admin%zz", BAD_PATH, None, BY_GATEWAY),
        ("/%c0%ae%c0%ae/admin", BAD_PATH, None, None),
        ("/admin#x", BAD_PATH, BY_GATEWAY, None),
        ("/%61dmin/x", to_admin, None, None),
        ("/m%65", passed(), None, None),
        ("/orders/%e2%82%ac", passed(), None, None),
        ("/orders/a%20b", passed(), None, None),
        ("/orders/a%24b", passed(), None, None),
    ]
    return [
        Case(name=f"path {target}", target=target, authorization=bearer("reader"), expected=seen, envoy=envoy, nginx=nginx)
        for target, seen, envoy, nginx in rows
    ] + [
        Case(name="path /healthz/..;/admin", target="/healthz/..;/admin", authorization=bearer("reader"), expected=BAD_PATH, envoy=to_admin, oldest_envoy=BAD_PATH)
    ]  # fmt: skip


def _forgeries() -> list[Case]:
    """What a client says about itself never arrives."""
    reader = bearer("reader")
    return [
        Case(name="forged identity on an allowed route", authorization=reader, headers=FORGED, expected=passed()),
        Case(name="forged identity on a public route", target="/healthz", headers=FORGED, expected=PUBLIC),
        Case(name="forged identity without sub", authorization=bearer("no-sub"), headers=FORGED, expected=passed(sub="")),
        Case(name="forged identity without scope", target="/me", authorization=bearer("no-scope"), headers=FORGED, expected=passed(scope="")),
        Case(
            name="another path in a header changes nothing",
            target="/orders/export",
            authorization=reader,
            headers=(("X-Original-URI", "/healthz"), ("X-Original-URL", "/healthz"), ("X-Rewrite-URL", "/healthz"), ("X-Forwarded-Uri", "/healthz"), ("X-Envoy-Original-Path", "/healthz")),
            expected=insufficient("orders:export"),
        ),
        Case(
            name="another method in a header changes nothing",
            method="POST",
            target="/orders",
            authorization=reader,
            headers=(("X-HTTP-Method-Override", "GET"), ("X-Original-Method", "GET"), ("X-Forwarded-Method", "GET")),
            expected=insufficient("orders:read orders:write"),
        ),
        Case(name="another host in a header changes nothing", target="/me", authorization=reader, headers=(("X-Original-Host", "a.tenant.example.com"), ("X-Forwarded-Host", "a.tenant.example.com")), expected=passed()),
    ]  # fmt: skip


CASES = [*_credentials(), *_answers(), *_routes(), *_paths(), *_forgeries()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One way in: how it is called, and which gateway's differences apply."""

    name: str
    ask: Callable[[Case], Seen] = field(repr=False)
    gateway: str = ""

    def expected(self, case: Case) -> Seen:
        """What the case should end with here."""
        own = {
            "newest envoy": case.envoy,
            "oldest envoy": case.oldest_envoy or case.envoy,
            "nginx": case.nginx,
        }.get(self.gateway)
        return own or case.expected
