"""The gRPC messages of the work: what Envoy would send.

Apart from `workload`, because reading in Envoy's whole schema takes seconds, which the programs of a run need not wait.
"""

import warnings
from datetime import UTC, datetime

from bench.workload import HOST, REFUSED, ROUTES, TOKENS, pair, path, token

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the schema's own code
    from envoy_data_plane.envoy.config.core.v3 import Address, HeaderMap, HeaderValue, Metadata, SocketAddress
    from envoy_data_plane.envoy.service.auth.v3 import (
        AttributeContext,
        AttributeContextHttpRequest,
        AttributeContextPeer,
        AttributeContextRequest,
        CheckRequest,
    )


class Template:
    """A gRPC message as Envoy would send it, from which others are made that differ in path and token alone.

    It is built with Envoy's own schema and filled as Envoy 1.40 fills it with gateway/envoy.yaml. Path and token of the
    others are as long as its own.
    """

    def __init__(self, target: str) -> None:
        self._path, self._token = target.encode(), token(0).encode()
        self._message = bytes(_check_request(target, token(0)))

    def __call__(self, target: bytes, bearer: bytes) -> bytes:
        """The message with these."""
        return self._message.replace(self._path, target, 1).replace(self._token, bearer, 1)


class Questions:
    """The gRPC messages for the walk, each made when it is asked for."""

    def __init__(self) -> None:
        self._template = Template(path(0, 0))
        self._paths = [[path(t, r).encode() for r in range(ROUTES)] for t in range(TOKENS)]
        self._tokens = [token(t).encode() for t in range(TOKENS)]

    def __call__(self, number: int) -> bytes:
        """Message number so many of the walk."""
        token_index, route_index = pair(number)
        return self._template(self._paths[token_index][route_index], self._tokens[token_index])

    def bearing(self, bearer: str, number: int = 0) -> bytes:
        """The same message with another token."""
        token_index, route_index = pair(number)
        return self._template(self._paths[token_index][route_index], bearer.encode())

    def refused(self, _number: int = 0) -> bytes:
        """A message with a token that is not active."""
        return self.bearing(REFUSED)


def _check_request(target: str, bearer: str) -> CheckRequest:
    headers = {
        "authorization": f"Bearer {bearer}",
        "x-request-id": "a3d99aff-ac65-42b4-80c3-94801092df8f",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    http = AttributeContextHttpRequest(
        id="13224511538441546755",
        method="GET",
        path=target,
        host=HOST,
        scheme="http",
        protocol="HTTP/1.1",
        header_map=HeaderMap(headers=[HeaderValue(key=key, raw_value=headers[key].encode()) for key in headers]),
    )
    attributes = AttributeContext(
        source=_peer(49_190),
        destination=_peer(10_000),
        request=AttributeContextRequest(time=datetime(2026, 1, 1, 12, 30, 15, 695_156, UTC), http=http),
        metadata_context=Metadata(),
        route_metadata_context=Metadata(),
    )
    return CheckRequest(attributes=attributes)


def _peer(port: int) -> AttributeContextPeer:
    return AttributeContextPeer(address=Address(socket_address=SocketAddress(address="127.0.0.1", port_value=port)))
