"""CORS preflights (Fetch §4.8): a browser asks, without credentials, whether a page may send a request.

Only a real one is a preflight: OPTIONS, with the origin of the page and the method that is to follow.
"""

from extauthz.core.paths import known_method

METHOD = "OPTIONS"
ORIGIN = "origin"
REQUEST_METHOD = "access-control-request-method"


def announced_method(method: str, origins: list[str], requested: list[str]) -> str:
    """The method that a preflight announces, empty when this is none. Both headers stand there once."""
    if method != METHOD or len(origins) != 1 or not origins[0] or len(requested) != 1:
        return ""
    return requested[0] if known_method(requested[0]) else ""
