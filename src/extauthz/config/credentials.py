"""Who we are to an authorization server, as the file has it: the sections `client` and `tls`.

Fields stand in an order that matters: a rule that compares two of them belongs to the later one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from extauthz.config.fields import Text, Url, Variable
from extauthz.config.section import Section
from extauthz.config.values import Misfit, Missing, on_loopback

Method = Literal[
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
]
"""How a client proves who it is (RFC 6749 §2.3, RFC 7523, RFC 8705)."""

WITH_SECRET = (None, "client_secret_basic", "client_secret_post", "client_secret_jwt")
WITH_CERTIFICATE = ("tls_client_auth", "self_signed_tls_client_auth")
WITH_ASSERTION = ("client_secret_jwt", "private_key_jwt")
WITHOUT_ANYTHING = ("none", "unsafe_none")

MIN_HMAC_SECRET_BYTES = 32
"""For HS256 (RFC 7518 §3.2)."""


def refuse_plain_secret(value: object) -> object:
    """Return it unchanged unless it is the secret itself."""
    if not isinstance(value, dict):
        raise Misfit("write {file: …} or {env: …}: secrets do not belong in this file")
    return value


class SecretSource(Section):
    """Where a secret comes from: a file, or an environment variable."""

    file: Text | None = None
    env: Variable | None = Field(default=None, validate_default=True)

    @field_validator("env")
    @classmethod
    def _exactly_one(cls, env: str | None, info: ValidationInfo) -> str | None:
        if "file" in info.data and (env is None) is (info.data["file"] is None):
            raise Misfit("write either file: and a path, or env: and the name of a variable")
        return env


class KeySource(Section):
    """Where a private key is. Not in the environment: it has many lines, and is changed under a running process."""

    file: Text = Field(examples=["/run/secrets/gateway.pem"])


class Assertion(Section):
    """How a client assertion is made; unset fields follow the server's issuer and the key."""

    audience: Text | None = None
    algorithm: (
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"]
        | None
    ) = None
    key_id: Text | None = None
    type: Literal["client-authentication+jwt", "JWT"] = "client-authentication+jwt"


class OwnToken(Section):
    """How we get a token of our own, for `auth: bearer`."""

    endpoint: Url | None = None
    scope: Text | None = None
    auth: Method = "client_secret_basic"


class Client(Section):
    """Who we are to the authorization server. Without `auth`: the secret, in the way that the server takes it."""

    auth: Literal[Method, "bearer", "none", "unsafe_none"] | None = None
    token: OwnToken = OwnToken()
    id: Text | None = Field(default=None, validate_default=True, examples=["gateway"])
    secret: Annotated[SecretSource | None, BeforeValidator(refuse_plain_secret)] = Field(
        default=None, examples=["{file: /run/secrets/gateway}"]
    )
    key: KeySource | None = Field(default=None, validate_default=True, examples=["{file: /run/secrets/gateway.pem}"])
    basic_encoding: Literal["rfc6749", "raw"] = "rfc6749"
    assertion: Assertion = Assertion()

    @property
    def method(self) -> str | None:
        """How we prove who we are: at the introspection endpoint, or to get the token that we send there."""
        return self.token.auth if self.auth == "bearer" else self.auth

    @field_validator("id")
    @classmethod
    def _somebody(cls, name: str | None, info: ValidationInfo) -> str | None:
        nobody = info.data.get("auth", "none") in WITHOUT_ANYTHING
        if name is None and not nobody:
            raise Missing("id")
        return name

    @field_validator("key")
    @classmethod
    def _what_the_method_needs(cls, key: KeySource | None, info: ValidationInfo) -> KeySource | None:
        """Exactly the one of secret and key that the method uses."""
        if not info.data.keys() >= {"auth", "token", "secret"}:  # one of them has a fault of its own
            return key
        method = info.data["token"].auth if info.data["auth"] == "bearer" else info.data["auth"]
        written = {"secret": info.data["secret"] is not None, "key": key is not None}
        needed = {"secret": method in WITH_SECRET, "key": method == "private_key_jwt"}
        for name, is_needed in needed.items():
            if is_needed and not written[name]:
                raise Missing(name)
        for name, is_written in written.items():
            if is_written and not needed[name]:
                raise Misfit(f"take out {name}, or change auth: {method or 'a secret'} does not use it", beside=name)
        return key


class ClientTls(Section):
    """PEM files for connections to the server: whom we trust, and who we are."""

    ca: Text | None = None
    certificate: Text | None = None
    key: Text | None = Field(default=None, validate_default=True)

    @field_validator("key")
    @classmethod
    def _a_pair(cls, key: str | None, info: ValidationInfo) -> str | None:
        if "certificate" in info.data and (key is None) is not (info.data["certificate"] is None):
            raise Misfit("certificate and key belong together: write both, or neither")
        return key


def refuse_plain_http(url: str, *, allowed: bool, at: tuple[str, ...] = ()) -> None:
    """Raise `Misfit` for a URL over which secrets would cross a network in plain text."""
    if url.lower().startswith("http:") and not allowed and not on_loopback(url):
        raise Misfit("use https here: tokens and the client's secret would cross the network in plain text", at=at)


def check_client(client: Client, server: Mapping[str, Any]) -> None:
    """Raise `Misfit` for a client that lacks something which stands elsewhere in its server's section."""
    if server.get("introspection_endpoint", "-") is None and server.get("discovery") is False:
        raise Misfit("write introspection_endpoint: too, or take out client: nobody is asked then")
    place = server.get("introspection_endpoint") or server.get("issuer") or ""
    if client.auth == "none" and not on_loopback(place):
        raise Misfit(
            "a server that lets anybody ask belongs on loopback: write unsafe_none if it is as safe", at=("auth",)
        )
    tls = server.get("tls")
    if client.method in WITH_CERTIFICATE and tls is not None and tls.certificate is None:
        raise Misfit("the certificate is missing: write tls: {certificate: …, key: …} beside client", at=("auth",))
    if client.method in WITH_ASSERTION and not (client.assertion.audience or server.get("issuer")):
        raise Misfit("write issuer: and the server's, which the assertion is addressed to", at=("auth",))
    if client.auth == "bearer":
        if client.token.endpoint is None and server.get("discovery") is False:
            raise Misfit("write token: {endpoint: …}, where we get a token of our own", at=("auth",))
        allowed = server.get("unsafe_allow_plain_http", True)
        refuse_plain_http(client.token.endpoint or "", allowed=allowed, at=("token", "endpoint"))
