"""Where an authorization server is asked, and how: from our configuration, from its own metadata, or from both.

Metadata is read by RFC 8414 and OpenID Connect Discovery. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from extauthz.core.strict_json import GarbageError, strict_object

_OAUTH = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"
_OLD_NAME = "token_introspection_endpoint"
_SHOWN = 200
"""Characters of a foreign issuer that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What we need to know of a server. Every text is empty, and every list too, when we do not know it.

    Attributes:
        introspection_endpoint: where tokens are asked about.
        token_endpoint: where we get a token of our own.
        jwks_uri: where its keys are.
        auth_methods: how clients may prove who they are at the introspection endpoint; where the server does not say
            that, how they may at the token endpoint.
    """

    introspection_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""
    auth_methods: tuple[str, ...] = ()

    def or_else(self, other: "Metadata") -> "Metadata":
        """What is known here, and from another one what is not."""
        return Metadata(
            introspection_endpoint=self.introspection_endpoint or other.introspection_endpoint,
            token_endpoint=self.token_endpoint or other.token_endpoint,
            jwks_uri=self.jwks_uri or other.jwks_uri,
            auth_methods=self.auth_methods or other.auth_methods,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How metadata is read.

    Attributes:
        issuer: what the document must call itself, character for character.
        plain_http: whether endpoints may be `http:`, on any host.
        certificate: whether we show a certificate, and so go to the endpoints for that (RFC 8705 §5).
        needed: names of the endpoints that we cannot do without and that are not configured.
    """

    issuer: str
    plain_http: bool = False
    certificate: bool = False
    needed: tuple[str, ...] = ()


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of an issuer may be, in the order in which it is looked for.

    RFC 8414 §3 inserts the well-known path between host and path; OpenID Connect appends it, and some servers insert it.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (f"{origin}{_OAUTH}{path}", f"{origin}{_OPENID}{path}", f"{origin}{path}{_OPENID}")
    return tuple(dict.fromkeys(urls))


def read_metadata(body: bytes, expected: Expected) -> Metadata:
    """What a metadata document says. `null` is as good as absent: servers write both.

    Raises:
        GarbageError: when it cannot be used; the message says why.
    """
    members = strict_object(body)
    if members.get("issuer") != expected.issuer:
        raise GarbageError(
            f"the document is of another issuer, {_shown(members.get('issuer'))}: if it is ours, write it so"
        )
    if _OLD_NAME in members and members.get("introspection_endpoint") is None:
        raise GarbageError(f"the server says {_OLD_NAME}, its old name: write introspection_endpoint into our file")
    aliases = members.get("mtls_endpoint_aliases") if expected.certificate else None
    aliases = aliases if isinstance(aliases, dict) else {}

    def url(name: str) -> str:
        return _url(aliases, name, expected) or _url(members, name, expected)

    metadata = Metadata(
        introspection_endpoint=url("introspection_endpoint"),
        token_endpoint=url("token_endpoint"),
        jwks_uri=_url(members, "jwks_uri", expected),
        auth_methods=_words(members, "introspection_endpoint_auth_methods_supported")
        or _words(members, "token_endpoint_auth_methods_supported"),
    )
    missing = [name for name in expected.needed if not getattr(metadata, name)]
    if missing:
        raise GarbageError(f"the document has no {missing[0]}: write {missing[0]} into our file")
    return metadata


def _shown(issuer: object) -> str:
    return ascii(issuer[:_SHOWN]) if isinstance(issuer, str) else "none"


def _url(members: Mapping[str, Any], name: str, expected: Expected) -> str:
    value = members.get(name)
    if value is None:
        return ""
    parts = _split(value) if isinstance(value, str) else None
    if parts is None or not _may_be_asked(parts, expected):
        raise GarbageError(f"{name} is no https URL")
    return str(value)


def _may_be_asked(url: SplitResult, expected: Expected) -> bool:
    """Over TLS, unless the server is this machine; and this machine only if the issuer is."""
    if _is_loopback(url.hostname):
        return _is_loopback(urlsplit(expected.issuer).hostname)
    return url.scheme == "https" or expected.plain_http


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult | None:
    """The parts of a URL that a request can go to; None for anything else."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    plain = text.isascii() and text.isprintable() and " " not in text
    return parts if known and plain and "@" not in parts.netloc and not parts.fragment else None


def _words(members: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = members.get(name)
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()
