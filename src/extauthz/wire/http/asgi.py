"""The HTTP front: which dialect by path, and who may ask."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from extauthz.authorizer import Authorizer
from extauthz.core.decision import Reason
from extauthz.core.request import AuthRequest
from extauthz.wire.asgi import Receive, Scope, Send, respond
from extauthz.wire.http import nginx

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class HttpDoor:
    """Answers the gateways that ask over HTTP.

    The metadata headers say which request is meant, so only peers that set them truthfully may ask: loopback and
    Unix-socket peers, and the networks in `trusted_proxies`.
    """

    def __init__(self, authorizer: Authorizer, *, trusted_proxies: Iterable[Network] = ()) -> None:
        self._authorizer = authorizer
        self._trusted = (*LOOPBACK, *trusted_proxies)
        self._trusts = lru_cache(maxsize=1024)(self._is_trusted)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request; its body, if any, is left unread."""
        if scope["path"] != nginx.PATH:
            await respond(send, 404, [(b"content-length", b"0")])
            return
        peer = scope["client"]
        request = nginx.decode(scope["headers"])
        if peer is not None and not self._trusts(peer[0]):
            request = AuthRequest(door=nginx.DOOR, method=request.method, target="", flaw=Reason.UNTRUSTED_PEER)
        status, headers = nginx.encode(await self._authorizer.check(request))
        await respond(send, status, headers)

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)
