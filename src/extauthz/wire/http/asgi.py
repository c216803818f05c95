"""The HTTP front: which dialect by path, and who may ask."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from extauthz.authorizer import Authorizer
from extauthz.core.decision import Decision, Reason
from extauthz.core.request import AuthRequest
from extauthz.wire.asgi import Receive, Scope, Send, others_first, respond
from extauthz.wire.http import envoy_http, forward_auth, gateway_api, nginx
from extauthz.wire.http.metadata import Answer, Vocabulary, vocabulary

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way to ask. `prefix` says that everything below the path belongs to it as well."""

    path: bytes
    metadata: tuple[bytes, ...]
    decode: Callable[[Scope, Vocabulary], AuthRequest]
    encode: Callable[[Decision], Answer]
    prefix: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "nginx": Dialect(
        path=nginx.PATH,
        metadata=nginx.METADATA,
        decode=lambda scope, known: nginx.decode(scope["headers"], known),
        encode=nginx.encode,
    ),
    "forward-auth": Dialect(
        path=forward_auth.PATH,
        metadata=forward_auth.METADATA,
        decode=lambda scope, known: forward_auth.decode(scope["headers"], known),
        encode=forward_auth.encode,
    ),
    "envoy": Dialect(
        path=envoy_http.PATH,
        metadata=envoy_http.METADATA,
        decode=lambda scope, known: envoy_http.decode(
            scope["method"], scope["raw_path"], scope["query_string"], scope["headers"], known
        ),
        encode=envoy_http.encode,
        prefix=True,
    ),
    "gateway-api": Dialect(
        path=gateway_api.PATH,
        metadata=gateway_api.METADATA,
        decode=lambda scope, known: gateway_api.decode(scope["headers"], known),
        encode=gateway_api.encode,
    ),
}
"""By the names that `dialects` in extauthz.yaml uses."""

_NGINX = DIALECTS["nginx"]


class HttpDoor:
    """Answers the gateways that ask over HTTP, in the dialects that are switched on.

    The metadata headers say which request is meant, so only peers that set them truthfully may ask: loopback and
    Unix-socket peers, and the networks in `trusted_proxies`. `trust_route_header` lets NGINX name the route.
    """

    def __init__(
        self,
        authorizer: Authorizer,
        *,
        trusted_proxies: Iterable[Network] = (),
        dialects: Iterable[str] = ("nginx",),
        trust_route_header: bool = False,
    ) -> None:
        self._authorizer = authorizer
        self._trusted = (*LOOPBACK, *trusted_proxies)
        self._trusts = lru_cache(maxsize=1024)(self._is_trusted)
        on = [DIALECTS[name] for name in dialects]
        if trust_route_header:
            on = [replace(each, metadata=(*each.metadata, nginx.ROUTE)) if each is _NGINX else each for each in on]
        self._exact = {dialect.path: dialect for dialect in on}
        self._below = {dialect.path + b"/": dialect for dialect in on if dialect.prefix}
        self._policy: object = None
        self._vocabularies: dict[bytes, Vocabulary] = {}

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request; its body, if any, is left unread."""
        dialect = self._find(scope["raw_path"])
        if dialect is None:
            await respond(send, 404, [(b"content-length", b"0")])
            return
        request = dialect.decode(scope, self._vocabulary(dialect))
        peer = scope.get("client")
        if peer is not None and not self._trusts(peer[0]):
            request = request._replace(target="", flaw=Reason.UNTRUSTED_PEER)
        status, headers, body = dialect.encode(await self._authorizer.check(request))
        await others_first()
        await respond(send, status, headers, b"" if scope["method"] == "HEAD" else body)

    def _find(self, raw_path: bytes) -> Dialect | None:
        """The dialect spoken at a path as it was sent: a path that must be decoded first is nobody's."""
        found = self._exact.get(raw_path)
        if found is None:
            for prefix, dialect in self._below.items():
                if raw_path.startswith(prefix):
                    return dialect
        return found

    def _vocabulary(self, dialect: Dialect) -> Vocabulary:
        """The names that the dialect reads and guards, with the identity headers of the policy in force."""
        policy = self._authorizer.policy
        if policy is not self._policy:
            identity = {name for rule in policy.routes.rules for name in rule.identity.names}
            self._vocabularies = {each.path: vocabulary(each.metadata, identity) for each in self._exact.values()}
            self._policy = policy
        return self._vocabularies[dialect.path]

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)
