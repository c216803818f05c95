"""The bearer token out of the `Authorization` header (RFC 6750 §2.1). Nothing else is looked at: no query, no body."""

import re

from extauthz.core.decision import Reason
from extauthz.core.token import Token

MAX_TOKEN_LENGTH = 8192
"""Bytes. Longer tokens are refused before anything is asked about them."""

_SCHEME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")
_BEARER = re.compile(r"(?:[Bb][Ee][Aa][Rr][Ee][Rr]) +([A-Za-z0-9\-._~+/]+=*)")
_MERGED_BEARER = re.compile(r",[ \t]*bearer(?:[ \t,]|\Z)", re.IGNORECASE)


def extract(authorization: tuple[str, ...]) -> Token | Reason:
    """The token, or the reason why there is none to ask about.

    A comma can never be part of a token, so with the Bearer scheme it proves that a gateway merged two
    header lines; "take the first" would let two readers see two different tokens.
    """
    if len(authorization) != 1:
        return Reason.SEVERAL_CREDENTIALS if authorization else Reason.NO_CREDENTIALS
    value = authorization[0].strip(" \t")
    match = _BEARER.fullmatch(value)
    if match is None:
        return _why_not(value)
    text = match[1]
    return Token(text) if len(text) <= MAX_TOKEN_LENGTH else Reason.MALFORMED_CREDENTIALS


def _why_not(value: str) -> Reason:
    if not value:
        return Reason.NO_CREDENTIALS
    scheme = _SCHEME.match(value)
    is_bearer = scheme is not None and scheme[0].lower() == "bearer"
    if (is_bearer and "," in value) or _MERGED_BEARER.search(value):
        return Reason.SEVERAL_CREDENTIALS
    return Reason.MALFORMED_CREDENTIALS if is_bearer else Reason.UNSUPPORTED_SCHEME
