"""Where an authorization server is asked, and how: from our configuration, from its own metadata, or from both."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What we need to know of a server. Every text is empty, and every list too, when we do not know it.

    Attributes:
        introspection_endpoint: where tokens are asked about.
        token_endpoint: where we get a token of our own.
        jwks_uri: where its keys are.
        auth_methods: how clients may prove who they are at the introspection endpoint.
    """

    introspection_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""
    auth_methods: tuple[str, ...] = ()
