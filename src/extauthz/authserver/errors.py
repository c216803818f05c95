"""The refusals of the authorization server, in the words of RFC 6749 §5.2 and RFC 8707 §2."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The ``error`` member of a refusal."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"


class OAuthError(Exception):
    """A refusal that the client is told about. The description must not repeat what the client sent."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
