"""Why an authorization server could not be asked, in words for the log that repeat nothing of what it said."""

from typing import Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable

_MAX_DETAIL: Final = 200


def unreachable(error: Exception) -> Unavailable:
    """What an error of the transport means: it is no verdict about the token. Our wire quotes no answer in its errors."""
    return Unavailable(reason=Reason.SERVER_UNREACHABLE, detail=f"{type(error).__name__}: {error}"[:_MAX_DETAIL])
