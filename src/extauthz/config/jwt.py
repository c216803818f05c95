"""What an authorization server's JWTs are like, and how far their own word goes. Times in seconds."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.credentials import refuse_plain_http
from extauthz.config.fields import Algorithms, Audiences, ClaimNames, Lifetime, Text, TokenTypes, Url
from extauthz.config.section import Section
from extauthz.config.values import Misfit

Mode = Literal["introspect", "jwt", "jwt_then_introspect"]
"""What decides about a token: the server's word, the token's own, or first the one and then the other."""


class Jwt(Section):
    """`audience` is who we are to the issuer; empty leaves it to the routes."""

    jwks_uri: Url | None = None
    jwks_file: Text | None = None
    algorithms: Algorithms = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
    types: TokenTypes = ("at+jwt",)
    audience: Audiences = ()
    scope_claims: ClaimNames = ("scope",)
    revalidate: Lifetime | None = None
    on_introspection_error: Literal["deny", "local"] = "deny"
    max_local_age: Lifetime = Field(default=300.0)

    @field_validator("jwks_file")
    @classmethod
    def _one_source(cls, file: str | None, info: ValidationInfo) -> str | None:
        if file is not None and info.data.get("jwks_uri") is not None:
            raise Misfit("take out either jwks_file or jwks_uri: keys come from one place")
        return file


def check_mode(mode: Mode, server: Mapping[str, Any]) -> None:
    """Raise `Misfit` for a server that cannot judge JWTs although it shall."""
    if mode != "introspect" and (lacking := lacks_for_jwts(server)):
        raise Misfit(f"to judge JWTs {lacking}")


def lacks_for_jwts(server: Mapping[str, Any]) -> str:
    """What is to be written before JWTs of a server can be judged; empty when nothing is."""
    jwt = server.get("jwt")
    if not server.get("issuer", "-"):
        return "write issuer: and the server's, which tokens must name"
    if jwt is not None and not (jwt.jwks_uri or jwt.jwks_file or server.get("discovery", True)):
        return "write jwt: {jwks_uri: …} or discovery: true, for the server's keys"
    return ""


def check_keys_url(jwt: Jwt, *, allowed: bool) -> None:
    """Raise `Misfit` for keys that would cross a network where anybody could change them."""
    refuse_plain_http(jwt.jwks_uri or "", allowed=allowed, at=("jwks_uri",))
