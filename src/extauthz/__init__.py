"""External authorization for Envoy and NGINX, by OAuth2 token introspection.

For services in Python, the same introspection client: `from extauthz import TokenClient`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from extauthz.version import VERSION

if TYPE_CHECKING:
    from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
    from extauthz.token_client import TokenClient

__version__ = VERSION

__all__ = ["Active", "Inactive", "TokenClient", "TokenState", "Unavailable", "__version__"]

_HOMES = {
    **dict.fromkeys(("Active", "Inactive", "TokenState", "Unavailable"), "extauthz.core.introspection"),
    "TokenClient": "extauthz.token_client",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Import what is asked for, when it is: the program itself needs none of it from here."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
