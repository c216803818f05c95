"""Gateways known by their certificates. TLS settles who can connect; of those, only the named ones are answered."""

from collections.abc import Iterable
from functools import lru_cache

from extauthz.wire.asgi import App, Receive, Scope, Send, respond

_GRPC_REFUSED = [(b"content-type", b"application/grpc"), (b"grpc-status", b"7")]
"""PERMISSION_DENIED (7), and no CheckResponse: whoever this is, it is not a gateway of ours."""


class KnownPeers:
    """Passes on what comes from a peer whose certificate has one of the names, and refuses the rest unread."""

    def __init__(self, app: App, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
        if chain and not self._names.isdisjoint(subject_alternative_names(chain[0])):
            await self._app(scope, receive, send)
        elif (b"content-type", b"application/grpc") in [*scope.get("headers", ())]:
            await respond(send, 200, _GRPC_REFUSED)
        else:
            await respond(send, 403, [(b"content-length", b"0")])


@lru_cache(maxsize=256)
def subject_alternative_names(certificate: str) -> frozenset[str]:
    """The DNS names and URIs of a PEM certificate (RFC 5280 §4.2.1.6); its subject is no name."""
    from cryptography import x509  # noqa: PLC0415 - takes 8 MiB, and most gateways need no certificate

    parsed = x509.load_pem_x509_certificate(certificate.encode())
    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    kinds = (x509.DNSName, x509.UniformResourceIdentifier)
    return frozenset(name for kind in kinds for name in found.get_values_for_type(kind))
