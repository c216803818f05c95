"""Hostile questions: what can be wrong with a request, place by place, and requests that are wrong in a place or two."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fuzz.doors import STATES
from fuzz.questions import Lines, Question
from property import strategies as our

# ---- one by one -------------------------------------------------------------------------------------------------

BASES = (
    Question(target="/orders/1", authorization=("Bearer reader",)),
    Question(target="/me", authorization=("Bearer one-role",)),
    Question(target="/healthz"),
    Question(target="/orders/1", host="x.tenant.example.com", authorization=("Bearer tenant",)),
)
"""All of these pass."""

METHODS = (
    *(
        "HEAD",
        "POST",
        "DELETE",
        "get",
        "Get",
        "GET ",
        " GET",
        "GET,GET",
        "GET, POST",
        "",
        "G\xc3\xa9",
        "G\xe9",
        "GE\x00T",
    ),
    *("X" * 32, "X" * 33, "GET\n", "G.T", "G_T", "-GET"),
)
TARGETS = (
    *("/orders/1", "/orders", "/orders/1/lines", "/orders/", "/healthz", "/me", "/x/live", "/billing", "/nowhere", "/"),
    *(
        "/%6frders/%31",
        "/orders/a%20b",
        "/orders/%E2%82%AC",
        "/orders/%e2%82%ac",
        "/h%65althz",
        "/orders/1?x=/../healthz",
    ),
    *("/Orders/1", "/HEALTHZ", "/ORDERS/1", "/healthz/", "/healthz?", "/healthz?#", "/orders/1?access_token=reader"),
    *("/healthz/../orders/1", "/healthz/%2e%2e/me", "/healthz/.%2E/me", "/healthz/..%2fme", "/healthz/..%5cme"),
    *("//healthz", "///healthz", "/x//healthz", "/healthz//", "/healthz/.", "/./healthz", "/healthz;/me", "/healthz;x"),
    *("/healthz/..;/me", "/healthz%00", "/healthz%0a", "/healthz%2f", "/healthz%5c", "/healthz\\..\\me", "\\healthz"),
    *(
        "/healthz/%252e%252e/me",
        "/healthz%25",
        "/healthz%",
        "/healthz%z",
        "/healthz%u002f",
        "/healthz#/me",
        "/healthz#",
    ),
    *("/h\xc3\xa9", "/h\xe9", "/orders/\xe9", "/orders/\xc3\xa9", "/orders/%c0%af", "/orders/%ff", "/orders/%c3", "*"),
    *(
        "http://api.example.com/healthz",
        "healthz",
        "?",
        "?/healthz",
        "/healthz\n",
        "/healthz\t",
        "/healthz ",
        " /healthz",
    ),
    *("", "/healthz\x00", "/healthz\x7f", "/orders/{id}", "/orders/**", "/orders/a|b", '/orders/"', "/" + "a" * 8192),
)
HOSTS = (
    *("a.tenant.example.com", "b.tenant.example.com", "x.b.tenant.example.com", "tenant.example.com", "other"),
    *("", "API.Example.com.:8443", "A.B.Tenant.Example.COM:443", "B.tenant.example.com.", "b.tenant.example.com.."),
    *("b.tenant.example.com,api.example.com", "u@api.example.com", "[::1]:80", "[::1", "b_tenant.example.com", ":80"),
    *("\xc3\xa9.example.com", "\xe9", " b.tenant.example.com", "b.tenant.example.com ", "b.tenant.example.com:", "."),
    *(
        "b.tenant.example.com/",
        "b.tenant.example.com?",
        "b.tenant.example.com\x00",
        "b.tenant.example.com:999999",
        "a" * 300,
    ),
)
AUTHORIZATIONS: tuple[tuple[str, ...], ...] = (
    *((), ("",), (" ",), ("Bearer",), ("Bearer ",), ("Bearer reader",), ("Bearer unknown",), ("Bearer " + "x" * 8193,)),
    *(("bearer reader",), ("BEARER   reader",), ("Bearer\treader",), ("Bearerreader",), (" Bearer reader",)),
    *(("Bearer reader ",), ("Bearer reader\t",), ("\tBearer reader",), ("Bearer \treader",), ("Bearer reader writer",)),
    *(("Bearer reader\xe9",), ("Bearer \xe9reader",), ("Bearer\xe9 reader",), ("\xe9Bearer reader",), ("\xe9",)),
    *(("Bearer reader\xc3\xa9",), ("Bearer\xc2\xa0reader",), ("Bearer\xa0reader",), ("Bearer reader!",), ("!",)),
    *(
        ("Bearer reader\n",),
        ("Bearer reader\x00",),
        ("Bearer\nreader",),
        ("\x00",),
        ('Bearer "reader"',),
        ("Bearer a=b",),
    ),
    *(("Bearer reader,",), (",Bearer reader",), (",",), ("Bearer,reader",), ("Bearer reader;x",), ("Bearer reader=",)),
    *(("Bearer reader,Bearer writer",), ("Bearer writer, Bearer reader",), ("Bearer reader,reader",)),
    *(("Basic YTpi",), ("Basic YTpi,Bearer reader",), ("Bearer reader,Basic YTpi",), ("DPoP reader",), ("Negotiate",)),
    *(("Bearer reader", "Bearer writer"), ("Bearer writer", "Bearer reader"), ("Bearer reader", "Bearer reader")),
    *(("", "Bearer reader"), ("Bearer reader", ""), ("", ""), ("Basic YTpi", "Bearer reader"), ("Basic a", "Basic b")),
    *(("Bearer reader", "Bearer reader", "Bearer reader"), ("\xe9", "Bearer reader"), ("Bearer", "reader")),
)
HARMLESS_NAMES = (
    *("x-auth-sub", "x-auth-scope", "x-auth-roles", "xauth-sub", "x-auth-sub-", "cookie", "proxy-authorization"),
    *("x-forwarded-uri", "x-forwarded-method", "x-forwarded-host", "x-rewrite-url", "x-http-method-override"),
    *(
        "x-envoy-original-path",
        "x-envoy-auth-failure-mode-allowed",
        "x-authz-status",
        "x-authz-reason",
        "method",
        "path",
    ),
    *("x-request-id", "x-authorization", "host"),
)
READ_NAMES = ("x-original-uri", "x-original-method", "x-original-host", "x-original-proto", "x-original-url")
IMITATIONS = (
    *("x_auth_sub", "x.auth.scope", "x-auth_roles", "x_original_uri", "x-original_method", "x.original.url"),
    *("x_original-host", "x_request_id", "x.request-id", "x_original.proto", "x_forwarded_uri", "x.forwarded-host"),
)
_VALUES = (
    "evil",
    "/healthz",
    "GET",
    "b.tenant.example.com",
    "https://b.tenant.example.com/healthz",
    "",
    "Bearer reader",
    "\xe9",
)
HEADERS: tuple[Lines, ...] = (
    *(((name, value),) for name in (*HARMLESS_NAMES, *READ_NAMES, *IMITATIONS) for value in _VALUES),
    *(((name, "1"), (name, "2")) for name in (*HARMLESS_NAMES, *READ_NAMES, *IMITATIONS)),
)
URL_HEADS = (
    *(
        "https://api.example.com",
        "ws://API.example.com:80",
        "https://b.tenant.example.com",
        "https://u@api.example.com",
    ),
    *(
        "https://",
        "ftp://api.example.com",
        "https://x.tenant.example.com",
        "//api.example.com",
        "HTTPS://api.example.com",
    ),
)

PLACES: Mapping[str, tuple[Any, ...]] = {
    "method": METHODS,
    "target": TARGETS,
    "host": HOSTS,
    "authorization": AUTHORIZATIONS,
    "headers": HEADERS,
}
"""Where a question can be wrong, and how."""


def one_by_one(place: str, bases: Iterable[Question] = BASES) -> Iterator[Question]:
    """Questions that pass but for one oddity."""
    for base in bases:
        yield from (replace(base, **{place: oddity}) for oddity in PLACES[place])


def with_urls() -> Iterator[Question]:
    """Questions to which the client adds X-Original-URL, with the right target and without."""
    for base in (*BASES, *(replace(base, host="") for base in BASES)):
        for head in URL_HEADS:
            yield from (
                replace(base, headers=(("x-original-url", head + path),)) for path in (base.target, "/healthz", "")
            )


# ---- by chance --------------------------------------------------------------------------------------------------

_octets = st.binary(max_size=40).map(lambda octets: octets.decode("latin-1"))
_utf8 = st.text(max_size=20).map(lambda text: text.encode().decode("latin-1"))
_junk = _octets | _utf8 | our.latin1


def _on_the_wire(text: str) -> str:
    """Text beyond Latin-1 as the octets of its UTF-8."""
    return text if all(character <= "\xff" for character in text) else text.encode("utf-8", "replace").decode("latin-1")


_tokens = st.sampled_from(["reader", "writer", "one-role", "tenant", "unknown"]) | st.sampled_from(sorted(STATES))
_values = (
    _tokens.map("Bearer {}".format)
    | st.builds("{}{}{}{}".format, _junk, st.sampled_from(["Bearer ", "bearer  "]), _tokens, _junk)
    | our.authorization_values
    | _junk
)
_lines = st.lists(
    st.tuples(st.sampled_from((*HARMLESS_NAMES, *READ_NAMES, *IMITATIONS)), st.sampled_from(_VALUES) | _junk),
    max_size=4,
)
_strange: Mapping[str, SearchStrategy[Any]] = {
    "method": _junk,
    "target": our.targets.map(_on_the_wire) | _junk | st.builds("{}?{}".format, st.sampled_from(TARGETS), _junk),
    "host": _junk,
    "authorization": st.lists(_values, max_size=3).map(tuple),
    "headers": _lines.map(tuple),
}
_forged = st.lists(
    st.tuples(st.sampled_from(HARMLESS_NAMES[:-1]), st.sampled_from(_VALUES)),
    max_size=3,
    unique_by=lambda line: line[0],
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Requests of which many pass; the others are wrong in a place or two."""
    question = replace(
        draw(st.sampled_from(BASES)),
        method=draw(st.sampled_from(["GET", "GET", "GET", "POST"])),
        headers=tuple(draw(_forged)),
    )
    if draw(st.booleans()):
        question = replace(question, authorization=(f"Bearer {draw(_tokens)}",))
    for place in draw(st.lists(st.sampled_from(sorted(PLACES)), max_size=draw(st.sampled_from([0, 1, 1, 2])))):
        question = replace(question, **{place: draw(st.sampled_from(PLACES[place]) | _strange[place])})
    if draw(st.integers(0, 9)) == 9:
        url = draw(st.sampled_from(URL_HEADS)) + question.target
        question = replace(question, headers=(*question.headers, ("x-original-url", url)))
    return question
