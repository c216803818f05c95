"""YAML is read strictly: few words have a meaning, and what is not plain data is a fault with a place."""

import pytest
import yaml
from hypothesis import given, strategies as st

from extauthz.config import yaml_source
from extauthz.config.yaml_source import MAX_DEPTH, MAX_FILE_BYTES, MAX_VALUES, read_yaml, resolve


@pytest.mark.parametrize(
    "word", ["no", "on", "off", "yes", "y", "NO", "True", "FALSE", "Null", "12:30", "0x10", "0o7", "007", "1e3", "1.5"]
)
def test_words_that_other_readers_convert_stay_text(word: str) -> None:
    """Norway is a country, half past twelve is no number."""
    assert resolve(word) == word
    document = read_yaml(f"a: [{word}]".encode(), "f")
    assert document.at(("a",)) == [word]
    assert document.faults == ()


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("false", False), ("100_000", 100_000), ("-5", -5), ("0", 0), ("null", None), ("~", None)],
)
def test_few_plain_words_are_not_text(word: str, value: object) -> None:
    """Booleans, whole numbers and nothing."""
    assert read_yaml(f"a: {word}".encode(), "f").at(("a",)) is value or resolve(word) == value


def test_what_is_quoted_is_text() -> None:
    """Quotes always mean text."""
    assert read_yaml(b"a: ['true', \"1\", '']", "f").at(("a",)) == ["true", "1", ""]


def test_a_number_of_any_length_does_no_harm() -> None:
    """What is too long for a number is text."""
    assert read_yaml(b"a: " + b"9" * 10_000, "f").at(("a",)) == "9" * 10_000


def test_empty_values_are_remembered_with_their_places() -> None:
    """Nothing written is not the same as nothing meant."""
    assert [(place.line, place.column) for place in read_yaml(b"a:\nb: [~]", "f").empty] == [(1, 3), (2, 5)]


def test_aliases_stand_for_what_they_name() -> None:
    """An alias has the value and the place of its anchor."""
    document = read_yaml(b"a: &x [1, 2]\nb: *x", "f")
    assert document.at(("b",)) == [1, 2]
    assert document.value_place(("b", 1)).line == 1


FAULTS = [
    ("", "1:1", "the file is empty"),
    ("# only a remark", "1:1", "the file is empty"),
    ("---\n...\n", "1:1", "the file is empty"),
    ("a: 1\n\tb: 2", "2:1", "a tab stands here"),
    ("a x\nb: 2", "2:2", "the line before lacks its ':'"),
    ("\ta: 1", "1:1", "a tab stands here"),
    ("a: 1\n---\nb: 2", "2:1", "a second document"),
    ("a: 1\nb: 2\na: 3", "3:1", "stands twice here: first on line 1"),
    ("a: {b: 1, b: 2}", "1:11", "stands twice here"),
    ("a: !!str 1", "1:4", "tags"),
    ("a: !secret x", "1:4", "tags"),
    ("a: !!python/object:os.system {}", "1:4", "tags"),
    ("a: {<<: {b: 1}}", "1:5", "merge keys"),
    ("1: a", "1:1", "a key is text"),
    ("true: a", "1:1", "a key is text"),
    ("? [a]\n: b", "1:3", "a key is one word"),
    ("a: *b", "1:4", "no &anchor before this alias"),
    ("a: &x [*x]", "1:8", "no &anchor before this alias"),
    ("host: *.example.com", "1:", "needs quotes"),
    ("a: @b", "1:4", "put quotes around the value"),
    ("a: b: c", "1:5", "needs quotes"),
    ("a: {path: /b/{c}}", "1:14", "needs quotes"),
    ("a: [1,", "1:|2:1", "missing"),
    ("a: 'b", "1:4", "never closed"),
    ("a:\n  - b\n c: d", "3:2", "indentation"),
    ("é: \x07", "1:4", "U+0007"),
    ("a: \ufeff", "1:4", "U+FEFF"),
]


@pytest.mark.parametrize("loader", [yaml_source._LOADER, yaml.SafeLoader], ids=["fast", "portable"])  # noqa: SLF001 - both parsers that may be there
@pytest.mark.parametrize(("text", "at", "words"), FAULTS)
def test_each_fault_has_its_place_and_its_sentence(
    text: str, at: str, words: str, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever parser is installed, the operator reads the same."""
    monkeypatch.setattr(yaml_source, "_LOADER", loader)
    (fault,) = read_yaml(text.encode(), "f").faults
    assert f"{fault.line}:{fault.column}".startswith(tuple(at.split("|")))
    assert words in fault.message


def test_bytes_that_are_not_utf8_have_a_place() -> None:
    """A file in another encoding is named as such."""
    (fault,) = read_yaml(b"\xef\xbb\xbfa: 1\n\xc3\xa9: \xff", "f").faults
    assert (fault.line, fault.column) == (2, 4)
    assert "UTF-8" in fault.message


def test_a_byte_order_mark_is_no_content() -> None:
    """Editors that write one do no harm, and columns do not count it."""
    document = read_yaml(b"\xef\xbb\xbfa: 1", "f")
    assert document.value_place(("a",)).column == 4
    assert document.faults == ()


def test_a_huge_file_is_refused_unread() -> None:
    """Reading a file has a bound."""
    (fault,) = read_yaml(b"a" * (MAX_FILE_BYTES + 1), "f").faults
    assert "larger than" in fault.message


def test_aliases_cannot_multiply_without_bound() -> None:
    """A billion laughs are counted, not told."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (fault,) = read_yaml("\n".join(lines).encode(), "f").faults
    assert str(MAX_VALUES) in fault.message
    assert fault.line == 6


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- "])
def test_nesting_is_bounded(opening: bytes) -> None:
    """A hundred thousand brackets are a fault, not a crash."""
    (fault,) = read_yaml(opening * 100_000, "f").faults
    assert str(MAX_DEPTH) in fault.message


def test_faults_that_do_not_stop_the_reader_are_all_found() -> None:
    """One look shows them all."""
    document = read_yaml(b"a: !x 1\na: 2\n<<: 3\n4: 5\nb: 6", "f")
    assert [fault.line for fault in document.faults] == [1, 2, 3, 4]
    assert document.at(()) == {"a": "1", "b": 6}


@pytest.mark.parametrize(
    "text", ["secret: 'canary", "canary: 1\ncanary: 2", "secret: !canary canary", "a: &b [*canary]"]
)
def test_faults_of_a_private_file_show_none_of_its_text(text: str) -> None:
    """While its structure is unknown, a secret could stand anywhere."""
    (fault,) = read_yaml(text.encode(), "f", private=True).faults
    assert "canary" not in fault.render()


PIECES = [
    "a",
    ": ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "|",
    "&a ",
    "*a",
    "!x ",
    "#",
    "\t",
    "~",
    "? ",
    "<<",
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode()))
def test_no_file_makes_the_reader_raise(source: bytes) -> None:
    """It has content or it has faults, with a place inside the file."""
    document = read_yaml(source, "f")
    assert document.root is not None or document.faults
    assert all(1 <= fault.line <= len(document.lines) + 1 and fault.column >= 1 for fault in document.faults)
