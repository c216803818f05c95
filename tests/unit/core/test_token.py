"""A bearer token can be compared and revealed, and there is no other way to its text."""

import copy
import json
import logging
import pickle
from collections.abc import Callable

import pytest

from extauthz.core.token import Token

CANARY = "canary-7f3a"


def test_reveal_gives_the_text_unchanged() -> None:
    """`reveal` is the one door to the text."""
    assert Token(CANARY).reveal() == CANARY


@pytest.mark.shows("S34", "N43")
@pytest.mark.parametrize("show", [repr, str, ascii, format, "{}".format, "{!r}".format, "{0!s:>40}".format])
def test_no_formatting_shows_the_text(show: Callable[[object], str]) -> None:
    """A token that reaches a message, alone or inside other values, prints as nothing."""
    assert CANARY not in show(Token(CANARY))
    assert CANARY not in show([Token(CANARY), {Token(CANARY): Token(CANARY)}])


def test_a_log_record_does_not_show_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """Logging a token by mistake gives nothing away."""
    logging.getLogger("extauthz.test").error("token %s of %r", Token(CANARY), Token(CANARY))
    assert "Token()" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.shows("S34", "N43")
def test_an_exception_that_carries_a_token_does_not_show_the_text() -> None:
    """Tracebacks print the arguments of an exception."""
    assert CANARY not in repr(ValueError("refused", Token(CANARY)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_cannot_be_pickled(protocol: int) -> None:
    """So it never reaches a file or another process by serialisation."""
    with pytest.raises(TypeError):
        pickle.dumps(Token(CANARY), protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, json.dumps, vars])
def test_a_token_cannot_be_taken_apart(duplicate: Callable[[object], object]) -> None:
    """Copying, JSON and `vars` do not work on it."""
    with pytest.raises(TypeError):
        duplicate(Token(CANARY))


def test_tokens_are_equal_when_their_texts_are() -> None:
    """Equal tokens are one key of a mapping."""
    assert Token("a") == Token("a")
    assert hash(Token("a")) == hash(Token("a"))
    assert {Token("a"): 1}[Token("a")] == 1


@pytest.mark.parametrize("other", [Token("b"), Token("A"), Token("a "), "a", None])
def test_a_token_equals_nothing_else(other: object) -> None:
    """Byte for byte, and never its own text as a plain string."""
    assert Token("a") != other
