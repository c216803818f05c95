"""Why an authorization server could not be asked, in words for the log that repeat nothing of what it said."""

from typing import Final

import aiohttp

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable

_MAX_DETAIL: Final = 200
_QUOTING: Final = (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)
"""Errors whose message quotes the answer, which may quote our question, and so the token."""


def unreachable(error: Exception) -> Unavailable:
    """What an error of the transport means: it is no verdict about the token."""
    said = "the answer is not HTTP, or broke off" if _quotes(error) else str(error)
    return Unavailable(reason=Reason.SERVER_UNREACHABLE, detail=f"{type(error).__name__}: {said}"[:_MAX_DETAIL])


def _quotes(error: Exception) -> bool:
    return isinstance(error, _QUOTING) or isinstance(error.__cause__, _QUOTING)
