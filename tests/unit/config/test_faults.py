"""Faults are shown with their place, their line and a mark under it."""

from extauthz.config.faults import ConfigError, Fault, nearest


def test_a_fault_shows_place_value_hint_and_line() -> None:
    """All that helps to correct a line is in one message."""
    fault = Fault(
        file="policy.yaml",
        line=3,
        column=9,
        message="unknown key",
        value="scops",
        hint="scopes",
        excerpt="      - scops: [a]",
    )
    assert fault.render() == (
        "policy.yaml:3:9: unknown key (got 'scops'); did you mean 'scopes'?\n          - scops: [a]\n            ^"
    )


def test_a_fault_without_line_is_one_line() -> None:
    """Where nothing can be shown, nothing is shown."""
    assert Fault(file="f", line=1, column=1, message="the file is empty").render() == "f:1:1: the file is empty"


def test_the_mark_stands_under_the_place_of_a_partial_line() -> None:
    """An excerpt may start in the middle of its line."""
    fault = Fault(file="f", line=1, column=20, message="m", excerpt="key: value", excerpt_column=15)
    assert fault.render().splitlines()[1:] == ["    key: value", "         ^"]


def test_a_long_line_is_shown_around_the_place() -> None:
    """A file of one long line does not flood the terminal."""
    fault = Fault(file="f", line=1, column=5001, message="m", excerpt="a" * 5000 + "X" + "b" * 5000)
    line, mark = fault.render().splitlines()[1:]
    assert len(line) < 140
    assert line[mark.index("^")] == "X"


def test_a_long_value_is_cut() -> None:
    """Its beginning is enough to find it."""
    assert len(Fault(file="f", line=1, column=1, message="m", value="v" * 5000).render()) < 150


def test_characters_that_steer_a_terminal_are_not_repeated() -> None:
    """A file cannot move the cursor of whoever reads its faults."""
    fault = Fault(file="f", line=1, column=1, message="m", value="\x1b[2J", excerpt="\x1b[2J\tx")
    assert fault.render() == "f:1:1: m (got '\\x1b[2J')\n    \N{REPLACEMENT CHARACTER}[2J x\n    ^"


def test_faults_are_sorted_by_file_and_line() -> None:
    """An operator walks through the files from top to bottom."""
    places = [("b", 1, 1), ("a", 2, 9), ("a", 2, 3), ("a", 1, 7)]
    error = ConfigError(Fault(file=file, line=line, column=column, message="m") for file, line, column in places)
    assert [(fault.file, fault.line, fault.column) for fault in error.faults] == sorted(places)
    assert str(error) == "a:1:7: m\na:2:3: m\na:2:9: m\nb:1:1: m"


def test_the_nearest_word_ignores_case_and_gives_up_on_strangers() -> None:
    """A hint is a likely meaning, not any word."""
    assert nearest("Scops", ["name", "scopes"]) == "scopes"
    assert nearest("INFO", ["info"]) == "info"
    assert nearest("banana", ["name", "scopes"]) == ""
