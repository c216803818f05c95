"""The work: 1,000 tokens and 100 routes, walked so that all 100,000 pairs come once before any comes again.

A benchmark that repeats a few questions finds every answer in every cache and measures a hash table. Each token has a
subject of its own here and each route a rule of its own, as in earnest.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from envoy_data_plane.envoy.config.core.v3 import Address, HeaderMap, HeaderValue, Metadata, SocketAddress
from envoy_data_plane.envoy.service.auth.v3 import (
    AttributeContext,
    AttributeContextHttpRequest,
    AttributeContextPeer,
    AttributeContextRequest,
    CheckRequest,
)

TOKENS = 1_000
ROUTES = 100
PAIRS = TOKENS * ROUTES
EDGE_PAIRS = TOKENS * 10
"""How much of the walk the row with the edge cache repeats: a gateway keeps answers for each token and path, and what
does not repeat within seconds is no case for it. All tokens and all routes are in it."""

HOST = "bench.example.com"
AUDIENCE = "https://api.example.com"
CLIENT_SECRET = "bench"  # noqa: S105 - between two programs of this run
EDGE_SECONDS = 30

_AREAS = 10
SCOPE = " ".join(f"area{area}:read" for area in range(_AREAS))
"""What every token holds; each route needs one word of it."""

REFUSED = "refused".ljust(43, "-")
"""A token that the authorization server calls inactive, as long as the others."""


def token(index: int) -> str:
    """A token as authorization servers make them: 43 characters without meaning."""
    return hashlib.sha256(f"token {index}".encode()).hexdigest()[:43]


def pair(number: int) -> tuple[int, int]:
    """Token and route of a request. Both change with each step; after 1,000 steps the routes have moved by one."""
    block, token_index = divmod(number, TOKENS)
    return token_index, (token_index + block) % ROUTES


def path(token_index: int, route_index: int) -> str:
    """The path of a request. Always as long, so that messages differ in bytes and not in length."""
    return f"/r{ROUTES + route_index}/items/{token_index:04}"


def policy(*, edge_cache: bool) -> str:
    """The text of a policy file (YAML takes JSON)."""
    extra = {"edge_cache": f"{EDGE_SECONDS}s"} if edge_cache else {}
    routes = [
        {
            "name": f"read-{number}",
            "methods": ["GET", "HEAD"],
            "path": f"/r{number}/items/{{id}}",
            "scopes": [f"area{number % _AREAS}:read"],
            **extra,
        }
        for number in range(ROUTES, 2 * ROUTES)
    ]
    defaults = {
        "authorization_server": "main",
        "audience": AUDIENCE,
        "identity_headers": {"x-auth-sub": "sub", "x-auth-scope": "scope"},
    }
    return json.dumps({"version": 1, "realm": "api", "defaults": defaults, "routes": routes})


class Questions:
    """The gRPC messages that Envoy would send for the walk, each made when it is asked for.

    One message is built with Envoy's own schema, filled as Envoy 1.40 fills it with gateway/envoy.yaml; the others
    differ from it in token and path, which have fixed lengths.
    """

    def __init__(self) -> None:
        self._path, self._token = path(0, 0).encode(), token(0).encode()
        self._message = bytes(_check_request(path(0, 0), token(0)))
        self._paths = [[path(t, r).encode() for r in range(ROUTES)] for t in range(TOKENS)]
        self._tokens = [token(t).encode() for t in range(TOKENS)]

    def __call__(self, number: int) -> bytes:
        """Message number so many of the walk."""
        token_index, route_index = pair(number)
        message = self._message.replace(self._path, self._paths[token_index][route_index], 1)
        return message.replace(self._token, self._tokens[token_index], 1)

    def refused(self, _number: int = 0) -> bytes:
        """A message with a token that is not active."""
        return self._message.replace(self._token, REFUSED.encode())


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


def write_script(file: Path) -> None:
    """Write the walk as a script for wrk. Its argument is the number of pairs after which it begins again."""
    tokens = ",".join(f'"{token(index)}"' for index in range(TOKENS))
    file.write_text(
        _SCRIPT.replace("TOKENS", tokens).replace("ROUTES", str(ROUTES)).replace("HOST", HOST), encoding="utf-8"
    )


# Requests are put together by hand: wrk.format costs several times as much, on the core that others need.
_SCRIPT = """\
local tokens = {TOKENS}
local paths, tails, number, pairs = {}, {}, 0, 0

function init(args)
  pairs = tonumber(args[1])
  for route = 0, ROUTES - 1 do paths[route] = "GET /r" .. (ROUTES + route) .. "/items/" end
  for index, token in ipairs(tokens) do
    tails[index - 1] = string.format("%04d", index - 1) .. " HTTP/1.1\\r\\nHost: HOST\\r\\nAuthorization: Bearer "
      .. token .. "\\r\\n\\r\\n"
  end
end

function request()
  local token = number % #tokens
  local route = (token + math.floor(number / #tokens)) % ROUTES
  number = (number + 1) % pairs
  return paths[route] .. tails[token]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "wrong": %d, "p50_us": %d, "p99_us": %d}\\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
