"""What the log learns of an error while asking: the kind of trouble, and nothing that the server said."""

import aiohttp
import httpx
import pytest
from aiohttp.http_exceptions import TransferEncodingError
from yarl import URL

from extauthz.core.decision import Reason
from extauthz.resolver.trouble import unreachable

CANARY = "mF_9.B5f-4.1JqM"


def not_http() -> aiohttp.ClientResponseError:
    """What aiohttp makes of bytes that are no answer."""
    url = URL("http://127.0.0.1/introspect")
    request = aiohttp.RequestInfo(url, "POST", None, url)  # type: ignore[arg-type] # headers do not matter here
    return aiohttp.ClientResponseError(request, (), status=400, message=f"Bad status line:\n {CANARY}")


def mapped(cause: Exception) -> Exception:
    """As httpx's transport passes an error on."""
    error = httpx.ReadError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        not_http(),
        mapped(not_http()),
        aiohttp.ClientPayloadError(CANARY),
        mapped(aiohttp.ClientPayloadError(f"not completed: {TransferEncodingError(CANARY)!r}")),
    ],
)
def test_what_the_server_said_is_not_repeated(error: Exception) -> None:
    """Its answer may repeat our question."""
    trouble = unreachable(error)
    assert CANARY not in trouble.detail
    assert (trouble.reason, trouble.detail) == (
        Reason.SERVER_UNREACHABLE,
        f"{type(error).__name__}: the answer is not HTTP, or broke off",
    )


@pytest.mark.parametrize("error", [httpx.ConnectError("no route to host"), OSError("odd"), ValueError("odd")])
def test_what_our_own_side_says_is_kept(error: Exception) -> None:
    """It tells the operator where to look."""
    assert unreachable(error).detail == f"{type(error).__name__}: {error}"


def test_a_detail_has_an_end() -> None:
    """It is one part of one line."""
    assert len(unreachable(ValueError("x" * 999)).detail) == 200
