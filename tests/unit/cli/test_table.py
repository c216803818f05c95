"""Tables for people: readable, never folded, and no stranger's name steers the terminal."""

import pytest

from extauthz.cli.table import harmless, print_table


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """And no blank stands at the end of a line."""
    print_table(["NAME", "STATE"], [["a-long-name", ""], ["b", "up"]])
    assert capsys.readouterr().out == "NAME         STATE\na-long-name\nb            up\n"


def test_nothing_in_a_text_steers_a_terminal() -> None:
    """Escape sequences and line ends show as what they are not."""
    assert harmless("\x1b[2Jé\n") == "\N{REPLACEMENT CHARACTER}[2Jé\N{REPLACEMENT CHARACTER}"
