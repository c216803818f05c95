"""What is doubtful in a policy is told, with its line and what to do; what is not, is not."""

import pytest

from extauthz.policy_tools.source import SoundSource, read_policy
from extauthz.policy_tools.warn import warnings

HEAD = "version: 1\ndefaults: {audience: https://api.example.com}\n"
BOTH = "methods: [GET, HEAD]"


def source(routes: str, head: str = HEAD) -> SoundSource:
    text = head + "routes:\n" + "".join(f"  - {{{line}}}\n" for line in routes.splitlines())
    found = read_policy(text.encode(), "policy.yaml")
    assert isinstance(found, SoundSource), found.judged.faults
    return found


def told(routes: str, head: str = HEAD) -> list[tuple[str, int, str]]:
    return [(each.kind, each.fault.line, each.fault.message) for each in warnings(source(routes, head))]


WARNED = {
    "tied": (
        (
            "name: number, path: '/o/{id}', where: {id: '[0-9]+'}, scopes: [a]\n"
            "name: hex, path: '/o/{id}', where: {id: '[0-9a-f]+'}, scopes: [a]"
        ),
        5,
        "/o/0 fits the constraints of number (line 4) and hex (line 5), so none of them decides",
    ),
    "shadowed": (
        "name: wide, path: /orders/**, scopes: [a]\nname: narrow, path: '/orders/{id}', methods: [GET, HEAD], scopes: [a]",
        4,
        "wide takes POST, PUT, PATCH, DELETE, OPTIONS and TRACE, but not at /orders/{id}: narrow (line 5)",
    ),
    "unreachable": (
        (
            "name: all, path: '/x/{a}/**', scopes: [a]\nname: one, path: /x, scopes: [a]\n"
            "name: slash, path: /x/, scopes: [a]\nname: rest, path: /x/**, scopes: [a]"
        ),
        7,
        "no request comes to rest: all (line 4) and one (line 5) and slash (line 6) take all that fits it",
    ),
    "ambiguous": (
        "name: first, path: '/a/{x}', scopes: [a]\nname: second, path: '/{y}/b', scopes: [a]",
        5,
        "/a/b fits second and first (line 4), and neither is narrower in every segment: first decides",
    ),
    "shadow": ("name: a, path: /a, scopes: [a], shadow: true", 4, "a refuses nobody"),
    "method-gap": ("name: a, path: /a, methods: [GET, PUT], scopes: [a]", 4, "write methods: [GET, PUT, HEAD]"),
}


@pytest.mark.parametrize("kind", WARNED)
def test_each_kind_is_told_at_its_line(kind: str) -> None:
    """One small policy for each."""
    routes, line, message = WARNED[kind]
    assert [(each, at) for each, at, _ in told(routes)] == [(kind, line)]
    assert message in told(routes)[0][2]


def test_a_route_is_shadowed_where_a_constraint_fits() -> None:
    """Elsewhere it takes what it lists."""
    routes = (
        "name: wide, path: '/o/{id}', scopes: [a]\nname: narrow, path: '/o/{id}', where: {id: '[0-9]+'}, scopes: [a]"
    )
    (found,) = told(f"{routes}, {BOTH}")
    assert found[:2] == ("shadowed", 4)
    assert "POST, PUT, PATCH, DELETE, OPTIONS and TRACE, but not at /o/{id} where id matches [0-9]+: narrow" in found[2]


QUIET = {
    "a constraint beside a route for the rest": (
        "name: a, path: '/o/{id}', where: {id: '[0-9]+'}, scopes: [a]\nname: b, path: '/o/{id}', scopes: [a]"
    ),
    "two constraints that have nothing in common": (
        "name: a, path: '/o/{id}', where: {id: '[0-9]+'}, scopes: [a]\n"
        "name: b, path: '/o/{id}', where: {id: '[a-z][0-9a-z-]*'}, scopes: [a]"
    ),
    "a constraint for which no text comes to mind": (
        f"name: a, path: '/o/{{id}}', where: {{id: '.*[0-9]q'}}, {BOTH}, scopes: [a]\n"
        "name: b, path: '/o/{id}', where: {id: '[^/]*'}, scopes: [a]\nname: c, path: '/o/{id}', scopes: [a]"
    ),
    "HEAD is another route's": "name: a, path: /a, methods: [GET], scopes: [a]\nname: b, path: /a, methods: [HEAD], scopes: [a]",
    "a literal beside a parameter": "name: a, path: '/a/{x}', scopes: [a]\nname: b, path: /a/b, scopes: [a]",
    "a narrower route that takes all": "name: a, path: /a/**, scopes: [a]\nname: b, path: '/a/{x}', scopes: [a]",
    "other hosts": "name: a, path: '/a/{x}', host: h, scopes: [a]\nname: b, path: '/{y}/b', scopes: [a]",
    "a rest below its own route": "name: a, path: /a, scopes: [a]\nname: b, path: /a/**, scopes: [a]",
    "a rest that only deeper paths come to": (
        "name: a, path: '/x/{a}', scopes: [a]\nname: b, path: /x, scopes: [a]\n"
        "name: c, path: /x/, scopes: [a]\nname: d, path: /x/**, scopes: [a]"
    ),
    "a public route": "name: a, path: /a, allow: anonymous",
}


@pytest.mark.parametrize("case", QUIET)
def test_what_is_meant_is_not_warned_about(case: str) -> None:
    """A warning that is wrong teaches to overlook the next one."""
    assert told(QUIET[case]) == []


def test_a_rest_takes_requests_from_a_deeper_pattern() -> None:
    """`/a/**` decides about /a/b, although `/{x}/b` is as long as the path."""
    found = told("name: rest, path: /a/**, scopes: [a]\nname: deep, path: '/{x}/b', scopes: [a]")
    assert [(kind, line) for kind, line, _ in found] == [("ambiguous", 5)]
    assert "rest decides" in found[0][2]


def test_scopes_are_looked_up_in_the_catalogue() -> None:
    """Wherever they stand, with what may have been meant."""
    head = HEAD + "scopes: [orders:read, admin]\nscope_implies: {admin: [orders:raed]}\n"
    found = warnings(source("name: a, path: /a, scopes: {any_of: [[admin], [order:read]]}", head))
    assert [(each.kind, each.fault.line, each.fault.hint) for each in found] == [
        ("unknown-scope", 4, "orders:read"),
        ("unknown-scope", 6, "orders:read"),
    ]


def test_no_audience_anywhere_is_one_warning() -> None:
    """Else each route without one has its own."""
    routes = "name: a, path: /a, scopes: [a]\nname: b, path: /b, scopes: [a]"
    assert [(kind, line) for kind, line, _ in told(routes, "version: 1\n")] == [("no-audience", 1)]
    mixed = "name: a, path: /a, scopes: [a], audience: x\nname: b, path: /b, scopes: [a]"
    assert [(kind, line) for kind, line, _ in told(mixed, "version: 1\n")] == [("no-audience", 4)]
