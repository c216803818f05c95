"""The refusals of the authorization server, in the words of RFC 6749 §5.2 and RFC 8707 §2."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The ``error`` member of a refusal."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"


class OAuthError(Exception):
    """A refusal that the client is told about. The description must not repeat what the client sent."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class ReuseError(OAuthError):
    """A refresh token came a second time, so its whole family was revoked (RFC 9700 §4.14.2).

    The client sees an ``invalid_grant`` like any other.
    """

    def __init__(self, family: str) -> None:
        super().__init__(ErrorCode.INVALID_GRANT, INVALID_GRANT)
        self.family = family


class MisconfiguredError(Exception):
    """The server is not set up for what a client is registered for; the message is for the operator."""


INVALID_GRANT = "The refresh token is not valid"
"""One description for every cause: which of them it was is nobody's business."""
