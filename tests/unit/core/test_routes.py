"""The most specific rule decides, whatever the order in the file; a pattern that cannot mean what it says is an error."""

from itertools import permutations

import pytest

from extauthz.config.patterns import Re2Pattern, parse_pattern
from extauthz.core.paths import canonical_path
from extauthz.core.policy import Rule
from extauthz.core.routes import Conflict, PathPattern, RouteTable, Trace, Turn, check_host, parse_path
from extauthz.testing import rule

PATTERNS = {
    "/": PathPattern(("",), rest=False),
    "/orders": PathPattern(("orders",), rest=False),
    "/orders/": PathPattern(("orders", ""), rest=False),
    "/orders/{id}": PathPattern(("orders", None), rest=False),
    "/orders/{id}/": PathPattern(("orders", None, ""), rest=False),
    "/{tenant}/orders/{order_id}": PathPattern((None, "orders", None), rest=False),
    "/orders/**": PathPattern(("orders",), rest=True),
    "/{tenant}/**": PathPattern((None,), rest=True),
    "/**": PathPattern((), rest=True),
    "/%61dmin": PathPattern(("admin",), rest=False),
    "/caf%c3%a9": PathPattern(("caf%C3%A9",), rest=False),
    "/%2A": PathPattern(("*",), rest=False),
    "/a:b": PathPattern(("a:b",), rest=False),
}

BAD_PATTERNS = {
    "empty": "",
    "no slash": "orders",
    "a star as host": "*",
    "a star for a segment": "/orders/*",
    "a star in a word": "/orders/a*",
    "two stars in a word": "/orders**",
    "two stars in the middle": "/a/**/b",
    "two stars and a slash": "/a/**/",
    "three stars": "/a/***",
    "parameter in a word": "/orders/{id}.json",
    "parameter without a name": "/orders/{}",
    "parameter with a number for a name": "/orders/{1}",
    "parameter not closed": "/orders/{id",
    "the same parameter twice": "/{id}/orders/{id}",
    "a regular expression": "/orders/[0-9]+$|x",
    "empty segment at the start": "//orders",
    "empty segment in the middle": "/orders//x",
    "empty segment after a parameter": "/orders/{id}//x",
    "empty segment before two stars": "/orders//**",
    "empty segment before two stars, at the start": "//**",
    "dot segment": "/a/../b",
    "dot segment, escaped": "/a/%2e%2e/b",
    "escaped slash": "/a%2Fb",
    "semicolon": "/a;b",
    "fragment": "/a#b",
    "query": "/orders?id=1",
    "query in the middle": "/orders?x/y",
    "empty query": "/orders?",
    "space": "/a b",
    "not ASCII": "/caf\xe9",
    "line feed": "/orders\n",
    "broken escape": "/a%zz",
}


@pytest.mark.parametrize(("text", "pattern"), PATTERNS.items())
def test_a_pattern_is_literals_parameters_and_perhaps_a_rest(text: str, pattern: PathPattern) -> None:
    """Literals are kept in the one spelling that requests are brought to."""
    assert parse_path(text) == pattern


@pytest.mark.parametrize("text", BAD_PATTERNS.values(), ids=BAD_PATTERNS)
def test_a_pattern_that_no_request_can_match_as_written_is_an_error(text: str) -> None:
    """Better than a rule that never decides, or decides about more than it seems to."""
    with pytest.raises(ValueError, match=r"\S"):
        parse_path(text)


@pytest.mark.parametrize("segment", ["{id", "id}", "{}", "{1}", "x{id}", "{id}.json", "{id:[0-9]+}"])
def test_a_parameter_that_is_none_is_told_how_one_is_written(segment: str) -> None:
    """Braces stand around a name, and around nothing less than a segment."""
    with pytest.raises(ValueError, match=r"write \{name\} for a whole segment"):
        parse_path(f"/orders/{segment}")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.example.com", "api.example.com"),
        ("API.Example.com", "api.example.com"),
        ("*.Example.com", "*.example.com"),
    ],
)
def test_a_host_pattern_is_kept_in_lower_case(text: str, host: str) -> None:
    """As the hosts of requests are."""
    assert check_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "*.", "**.a.com", "*.*.com", "a.*.com", "a*.com", ".a.com", "a.com.", "a.com:80", "a..com"),
        "a b",
        "a/b",
        "a\n",
    ],
)
def test_a_host_pattern_is_a_name_or_a_suffix(text: str) -> None:
    """A port or a final dot would never match, because requests lose theirs."""
    with pytest.raises(ValueError, match="a host is"):
        check_host(text)


def table(*rules: Rule) -> RouteTable:
    """A table without ties."""
    built, conflicts = RouteTable.build(rules)
    assert conflicts == []
    return built


def paths(*texts: str) -> list[Rule]:
    """A rule for each path, called by it."""
    return [rule(name=text, path=text) for text in texts]


def found(rules: list[Rule], target: str, method: str = "GET", host: str = "h") -> str | None:
    """The name of the rule that decides, the same for every order of the rules."""
    path = canonical_path(target)
    assert path is not None
    matches = [table(*order).match(method, host, path) for order in permutations(rules)]
    names = {None if match is None else match.name for match in matches}
    assert len(names) == 1
    return names.pop()


@pytest.mark.shows("S56", "E50", "N37", "N38")
@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/", ["/", "/?x=1"], ["/a", "/a/"]),
        (
            "/orders",
            ["/orders", "/orders?x=/", "/%6frders"],
            ["/", "/orders/", "/Orders", "/orders/1", "/orders-admin"],
        ),
        ("/orders/", ["/orders/"], ["/orders", "/orders/1", "/orders/1/"]),
        ("/orders/{id}", ["/orders/1", "/orders/a:b"], ["/orders", "/orders/", "/orders/1/", "/orders/1/2"]),
        ("/{a}/{b}/", ["/x/y/"], ["/x/y", "/x/", "/"]),
        (
            "/orders/**",
            ["/orders", "/orders/", "/orders/1", "/orders/1/2/"],
            ["/", "/ordersX", "/orders-admin", "/order"],
        ),
        ("/{a}/**", ["/x", "/x/", "/x/y"], ["/"]),
        ("/**", ["/", "/x", "/x/"], []),
        ("/caf%C3%A9", ["/caf%c3%a9", "/caf%C3%A9"], ["/cafe", "/CAF%C3%A9"]),
        ("/**", ["/**"], []),
        ("/%2A%2A", ["/**", "/*%2a"], ["/x"]),
    ],
)
def test_a_pattern_matches_whole_segments(pattern: str, matching: list[str], others: list[str]) -> None:
    """Case matters, a trailing slash matters, and a prefix ends at a slash."""
    rules = paths(pattern)
    assert [target for target in [*matching, *others] if found(rules, target) is not None] == matching


@pytest.mark.parametrize(
    ("patterns", "target", "winner"),
    [
        (["/**", "/a", "/{x}"], "/a", "/a"),
        (["/**", "/a", "/{x}"], "/b", "/{x}"),
        (["/**", "/a", "/{x}"], "/b/c", "/**"),
        (["/a", "/a/**"], "/a", "/a"),
        (["/a/", "/a/**"], "/a/", "/a/"),
        (["/a/{x}/c", "/a/b/{y}"], "/a/b/c", "/a/b/{y}"),
        (["/a/{x}/c", "/a/b/{y}"], "/a/z/c", "/a/{x}/c"),
        (["/{x}/b/c", "/a/**"], "/a/b/c", "/a/**"),
        (["/a/b", "/{x}/c"], "/a/c", "/{x}/c"),
        (["/a/b/**", "/a/{x}/c/**", "/**"], "/a/b/c/d", "/a/b/**"),
        (["/a/b/x", "/a/{y}/**", "/**"], "/a/b/z", "/a/{y}/**"),
        (["/a/b/x", "/{y}/b/z", "/**"], "/a/b/q", "/**"),
        (["/a/{x}", "/a/**"], "/a/", "/a/**"),
        (["/a/b/c", "/a/**"], "/a/b", "/a/**"),
        (["/a/b/c", "/a/**", "/**"], "/a/b/d/e", "/a/**"),
        (["/a/{x}/**", "/a/**"], "/a", "/a/**"),
    ],
)
def test_the_leftmost_literal_wins_then_a_parameter_then_the_rest(
    patterns: list[str], target: str, winner: str
) -> None:
    """A narrower pattern that does not fit to the end gives way to the next."""
    assert found(paths(*patterns), target) == winner


@pytest.mark.parametrize(
    ("host", "winner"),
    [
        ("api.example.com", "exact"),
        ("x.api.example.com", "long suffix"),
        ("y.x.api.example.com", "long suffix"),
        ("www.example.com", "short suffix"),
        ("example.com", "any"),
        ("badexample.com", "any"),
        ("evil.example", "any"),
        ("", "any"),
    ],
)
def test_the_narrowest_host_wins(host: str, winner: str) -> None:
    """A suffix covers any number of labels before it, but not the bare name, nor a name that only ends like it."""
    rules = [
        rule(name="any"),
        rule(name="short suffix", host="*.example.com"),
        rule(name="long suffix", host="*.api.example.com"),
        rule(name="exact", host="api.example.com"),
    ]
    assert found(rules, "/orders", host=host) == winner


def test_a_host_comes_before_a_path() -> None:
    """The wider path of a narrower host wins; where that host has no path at all, wider hosts are asked."""
    rules = [rule(name="any", path="/a/b"), rule(name="host", path="/a/**", host="h")]
    assert found(rules, "/a/b", host="h") == "host"
    assert found([*rules, rule(name="elsewhere", path="/c")], "/c", host="h") == "elsewhere"


METHODS = [
    rule(name="read", methods=("GET", "HEAD")),
    rule(name="write", methods=("POST",)),
    rule(name="all", path="/**"),
]


@pytest.mark.shows("S58", "E42", "N26")
@pytest.mark.parametrize(
    ("method", "target", "winner"),
    [
        ("GET", "/orders", "read"),
        ("HEAD", "/orders", "read"),
        ("POST", "/orders", "write"),
        ("DELETE", "/orders", None),
        ("OPTIONS", "/orders", None),
        ("DELETE", "/x", "all"),
        ("FOO", "/x", "all"),
    ],
)
def test_the_narrowest_path_decides_alone_about_the_method(method: str, target: str, winner: str | None) -> None:
    """A method that it does not list has no route; no wider rule steps in. HEAD is not GET unless listed."""
    assert found(METHODS, target, method) == winner


def test_an_unlisted_method_of_a_narrow_host_does_not_fall_to_a_wider_host() -> None:
    """The same holds across hosts."""
    rules = [rule(name="any"), rule(name="host", host="h", methods=("GET",))]
    assert found(rules, "/orders", "POST", host="h") is None


@pytest.mark.parametrize(
    ("first", "second", "methods"),
    [
        (rule(name="a"), rule(name="b"), ()),
        (rule(name="a", path="/{x}"), rule(name="b", path="/{y}"), ()),
        (rule(name="a", path="/%61"), rule(name="b", path="/a"), ()),
        (rule(name="a", path="/{x}/**"), rule(name="b", path="/{y}/**"), ()),
        (rule(name="a", host="h"), rule(name="b", host="h"), ()),
        (rule(name="a", host="*.h"), rule(name="b", host="*.h"), ()),
        (rule(name="a", methods=("GET", "HEAD")), rule(name="b", methods=("POST", "GET")), ("GET",)),
        (rule(name="a"), rule(name="b", methods=("GET",)), ("GET",)),
        (rule(name="a", methods=("GET",)), rule(name="b"), ("GET",)),
    ],
)
def test_two_rules_for_one_request_are_a_conflict(first: Rule, second: Rule, methods: tuple[str, ...]) -> None:
    """An error of the file, not a matter of order."""
    assert RouteTable.build([first, second])[1] == [Conflict(first=first, second=second, methods=methods)]


def test_every_tie_is_reported() -> None:
    """A rule that meets two others is in two conflicts, so the author sees both at once."""
    rules = [
        rule(name="a", methods=("GET",)),
        rule(name="b", methods=("POST",)),
        rule(name="c", methods=("GET", "POST")),
    ]
    _, conflicts = RouteTable.build(rules)
    assert [(one.first.name, one.second.name) for one in conflicts] == [("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    "rules",
    [
        [rule(name="a", methods=("GET",)), rule(name="b", methods=("POST",))],
        [rule(name="a", host="h"), rule(name="b", host="*.h"), rule(name="c")],
        paths("/a", "/a/", "/a/**", "/{x}", "/{x}/", "/{x}/**", "/**", "/"),
        paths("/a/{x}/c", "/a/b/{y}"),
    ],
)
def test_rules_of_different_rank_do_not_tie(rules: list[Rule]) -> None:
    """Overlap is fine as long as one of the two is narrower."""
    assert RouteTable.build(rules)[1] == []


@pytest.mark.parametrize(("hosts", "uses"), [((), False), (("",), False), (("", "h"), True), (("*.h",), True)])
def test_a_table_knows_whether_hosts_matter(hosts: tuple[str, ...], uses: bool) -> None:
    """A request without a host is refused where they do."""
    assert table(*(rule(name=host, host=host) for host in hosts)).uses_hosts is uses


def test_a_rule_is_found_by_its_name_if_it_takes_the_method() -> None:
    """For gateways that choose the route themselves."""
    rules = table(*METHODS)
    assert rules.named("read", "GET") is METHODS[0]
    assert rules.named("all", "FOO") is METHODS[2]
    assert [rules.named(name, "POST") for name in ("read", "none", "", "READ")] == [None] * 4


@pytest.mark.shows("S44")
def test_an_empty_table_matches_nothing() -> None:
    """Nothing is public by accident."""
    assert table().match("GET", "h", "/") is None


def test_a_table_keeps_its_rules_in_the_order_of_the_file() -> None:
    """For listings; matching does not depend on it."""
    assert table(*METHODS).rules == tuple(METHODS)


def test_a_long_path_is_walked_no_deeper_than_the_rules_go() -> None:
    """Thousands of segments do not exhaust the stack."""
    assert found(paths("/a/**", "/a/{x}/c"), "/a" * 4000) == "/a/**"


def where(**patterns: str) -> tuple[tuple[str, Re2Pattern], ...]:
    """Constraints as a rule has them."""
    return tuple((name, parse_pattern(text)) for name, text in patterns.items())


CONSTRAINED = [
    rule(name="export", path="/orders/export"),
    rule(name="number", path="/orders/{id}", where=where(id="[0-9]+"), methods=("GET",)),
    rule(name="code", path="/orders/{code}", where=where(code="[A-Z]{2}[0-9]*")),
    rule(name="word", path="/orders/{word}", where=where(word="[0-9a-z]{3}")),
    rule(name="line", path="/orders/{id}/lines/{line}", where=where(line="[0-9]+")),
    rule(name="both", path="/orders/{id}/notes/{note}", where=where(id="[0-9]+", note="n[0-9]+")),
    rule(name="rest", path="/orders/**"),
    rule(name="any", path="/items/{id}"),
    rule(name="item", path="/items/{id}", where=where(id="[0-9]+")),
    rule(name="only", path="/only/{id}", where=where(id="[0-9]+")),
]


@pytest.mark.parametrize(
    ("method", "path", "winner"),
    [
        ("GET", "/orders/12", "number"),
        ("GET", "/orders/DE7", "code"),
        ("GET", "/orders/export", "export"),
        ("GET", "/orders/abc", "word"),
        ("GET", "/orders/abcd", "rest"),
        ("GET", "/orders/", "rest"),
        ("POST", "/orders/12", None),
        ("GET", "/orders/123", None),
        ("GET", "/orders/12/lines/5", "line"),
        ("GET", "/orders/12/lines/x", "rest"),
        ("GET", "/orders/x/lines/5", "line"),
        ("GET", "/orders/12/notes/n5", "both"),
        ("GET", "/orders/12/notes/5", "rest"),
        ("GET", "/orders/x/notes/n5", "rest"),
        ("GET", "/items/12", "item"),
        ("GET", "/items/12x", "any"),
        ("GET", "/items/%31", "any"),
        ("GET", "/only/5", "only"),
        ("GET", "/only/x", None),
        ("GET", "/only/", None),
    ],
)
def test_a_constraint_that_does_not_fit_leads_nowhere(method: str, path: str, winner: str | None) -> None:
    """The next most specific rule decides; where one fits, its rules decide alone; where two fit, nobody does."""
    for rules in (CONSTRAINED, CONSTRAINED[::-1]):
        table, conflicts = RouteTable.build(rules)
        assert not conflicts
        found = table.match(method, "", path)
        assert (None if found is None else found.name) == winner
        trace: Trace = []
        assert table.match(method, "", path, trace) is found


def test_the_same_constraint_twice_is_a_tie() -> None:
    """Under whatever name; another constraint or none is another place."""
    first, second = (rule(name=name, path=f"/{{{name}}}", where=where(**{name: "[0-9]+"})) for name in ("a", "b"))
    third = rule(name="c", path="/{c}", where=where(c="[0-9]*"))
    assert [(tie.first, tie.second) for tie in RouteTable.build([first, second])[1]] == [(first, second)]
    assert RouteTable.build([first, third, rule(name="d", path="/{d}")])[1] == []


def test_a_trace_tells_which_constraints_were_tied() -> None:
    """Each that fits, and the rules to which they lead."""
    trace: Trace = []
    RouteTable.build(CONSTRAINED)[0].match("GET", "", "/orders/123", trace)
    assert [step.turn for step in trace] == [Turn.HOST, Turn.REST, Turn.WHERE, Turn.WHERE, Turn.TIED]
    assert [each.name for each in trace[-1].rules] == ["number", "word"]


def test_a_trace_tells_every_turn_of_the_look_up() -> None:
    """Hosts in turn, each `**` that was kept in mind, a literal that led nowhere, and the rules that decide."""
    rules = [
        rule(name="wide", path="/**"),
        rule(name="literal", path="/a/b/c"),
        rule(name="parameter", path="/a/{x}/d", methods=("GET",)),
        rule(name="host", path="/z", host="api.example.com"),
    ]
    table, _ = RouteTable.build(rules)
    trace: Trace = []
    found = table.match("GET", "api.example.com", "/a/b/d", trace)
    assert found is rules[2]
    assert [(step.turn, step.where, [each.name for each in step.rules]) for step in trace] == [
        (Turn.HOST, "api.example.com", []),
        (Turn.NOTHING, "/a/b/d", []),
        (Turn.HOST, "", []),
        (Turn.REST, "/**", ["wide"]),
        (Turn.LITERAL, "/a/b", []),
        (Turn.BACK, "/a/b", []),
        (Turn.FOUND, "/a/b/d", ["parameter"]),
    ]


def test_a_trace_changes_nothing() -> None:
    """With and without one, the same rule is found."""
    table, _ = RouteTable.build(rule(name=str(number), path=path) for number, path in enumerate(PATTERNS))
    for path in ("/", "/orders", "/orders/", "/orders/1", "/orders/1/", "/t/orders/1", "/t/x", "/admin", "/*", "/a:b"):
        assert table.match("GET", "h", path) is table.match("GET", "h", path, [])
