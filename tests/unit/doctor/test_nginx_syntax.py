"""Words, quotes and blocks, as NGINX reads them."""

import pytest

from extauthz.doctor.nginx_syntax import Directive, NginxSyntaxError, parse


def words(text: str) -> list[tuple[str, ...]]:
    return [(each.name, *each.args) for each in parse(text, "f").directives]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c;", ("a", "b", "c")),
        ("a # b;\n c;", ("a", "c")),
        ("a b#c;", ("a", "b#c")),
        ("a \"b c\" 'd e';", ("a", "b c", "d e")),
        ('a "b;{}#" c;', ("a", "b;{}#", "c")),
        (r'a "b\"c" \'d;', ("a", 'b"c', "'d")),
        (r"a b\ c \d+\.x;", ("a", r"b\ c", r"\d+\.x")),
        ("a ${b}c${d};", ("a", "${b}c${d}")),
        ('a b"c;', ("a", 'b"c')),
        ('a "";', ("a", "")),
        ("a b}c;", ("a", "b}c")),
        ('if ($x = "a b") ;', ("if", "($x", "=", "a b", ")")),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(text) == [expected]


def test_blocks_hold_directives_with_their_lines() -> None:
    text = "a {\n  b c;\n  d { }\n}\ne;"
    assert parse(text, "f").directives == (
        Directive(
            name="a",
            where="f:1",
            block=(Directive(name="b", args=("c",), where="f:2"), Directive(name="d", where="f:3", block=())),
        ),
        Directive(name="e", where="f:5"),
    )


def test_a_block_in_another_language_is_one_word_less() -> None:
    text = 'access_by_lua_block {\n local t = { "}" } -- }\n}\nafter;'
    assert [(each.name, each.where) for each in parse(text, "f").directives] == [
        ("access_by_lua_block", "f:1"),
        ("after", "f:4"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a {\n b;", "f:1", "never closed"),
        ("\na b", "f:2", "does not end"),
        ("a;\n}", "f:2", "unexpected }"),
        ("{ }", "f:1", "unexpected {"),
        ('a "b', "f:1", "quote"),
        ("a 'b'c;", "f:1", "quote"),
        ("a_by_lua_block { {", "f:1", "never closed"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, where: str, message: str) -> None:
    with pytest.raises(NginxSyntaxError, match=message) as raised:
        parse(text, "f")
    assert raised.value.where == where


def test_included_directives_stand_in_place_of_the_include() -> None:
    found = parse("a { include x y; c; }", "f", lambda pattern: [(pattern, "b;")]).directives
    assert found[0].block == (Directive(name="b", where="x y:1"), Directive(name="c", where="f:1"))


def test_an_include_that_leads_nowhere_is_remembered() -> None:
    file = parse("include x;", "f")
    assert (file.directives, [each.args for each in file.unread]) == ((), [("x",)])
