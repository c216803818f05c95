"""What the log learns of an error while asking: the kind of trouble."""

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.resolver.trouble import unreachable


def test_it_is_no_verdict_about_the_token() -> None:
    """Whatever the error was."""
    assert unreachable(ValueError("odd")).reason is Reason.SERVER_UNREACHABLE


@pytest.mark.parametrize("error", [httpx.ConnectError("no route to host"), OSError("odd"), ValueError("odd")])
def test_what_our_own_side_says_is_kept(error: Exception) -> None:
    """It tells the operator where to look."""
    assert unreachable(error).detail == f"{type(error).__name__}: {error}"


def test_a_detail_has_an_end() -> None:
    """It is one part of one line."""
    assert len(unreachable(ValueError("x" * 999)).detail) == 200
