"""The work: 1,000 tokens and 100 routes, walked so that all 100,000 pairs come once before any comes again.

A benchmark that repeats a few questions finds every answer in every cache and measures a hash table. Each token has a
subject of its own here and each route a rule of its own, as in earnest.
"""

import hashlib
import json
from pathlib import Path

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

_TARGET_IN_LINE = f" HTTP/1.1\r\nHost: {HOST}"

WAYS = {
    "": ("GET ", _TARGET_IN_LINE),
    "nginx": (
        f"GET /nginx HTTP/1.1\r\nHost: authz\r\nX-Original-Method: GET\r\nX-Original-Host: {HOST}\r\nX-Original-URI: ",
        "",
    ),
    "forward-auth": (
        (
            "GET /forward-auth HTTP/1.1\r\nHost: authz\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\n"
            f"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: {HOST}\r\nX-Forwarded-Uri: "
        ),
        "",
    ),
    "envoy": ("GET /envoy", _TARGET_IN_LINE),
    "gateway-api": (f"GET /gateway-api HTTP/1.1\r\nHost: {HOST}\r\nMethod: GET\r\nPath: ", ""),
}
"""What stands before and behind the path: of a client's own request (the empty name), or in each dialect."""

_AREAS = 10
SCOPE = " ".join(f"area{area}:read" for area in range(_AREAS))
"""What every token holds; each route needs one word of it."""

_TOKEN_LENGTH = 43
_REFUSED = "refused"

REFUSED = _REFUSED.ljust(_TOKEN_LENGTH, "-")
"""A token that the authorization server calls inactive, as long as the others; so it does all that begin like this."""


def token(index: int) -> str:
    """A token as authorization servers make them: 43 characters without meaning."""
    return hashlib.sha256(f"token {index}".encode()).hexdigest()[:_TOKEN_LENGTH]


def inactive_token(index: int) -> str:
    """One of many tokens that the authorization server calls inactive."""
    return f"{_REFUSED}{index}".ljust(_TOKEN_LENGTH, "-")


def pair(number: int) -> tuple[int, int]:
    """Token and route of a request. Both change with each step; after 1,000 steps the routes have moved by one."""
    block, token_index = divmod(number, TOKENS)
    return token_index, (token_index + block) % ROUTES


def path(token_index: int, route_index: int) -> str:
    """The path of a request. Always as long, so that messages differ in bytes and not in length."""
    return f"/r{ROUTES + route_index}/items/{token_index:04}"


def policy(*, edge_cache: bool = False, numbers: range = range(ROUTES, 2 * ROUTES)) -> str:
    """The text of a policy file (YAML takes JSON) with a route for each number."""
    extra = {"edge_cache": f"{EDGE_SECONDS}s"} if edge_cache else {}
    routes = [
        {
            "name": f"read-{number}",
            "methods": ["GET", "HEAD"],
            "path": f"/r{number}/items/{{id}}",
            "scopes": [f"area{number % _AREAS}:read"],
            **extra,
        }
        for number in numbers
    ]
    defaults = {
        "authorization_server": "main",
        "audience": AUDIENCE,
        "identity_headers": {"x-auth-sub": "sub", "x-auth-scope": "scope"},
    }
    return json.dumps({"version": 1, "realm": "api", "defaults": defaults, "routes": routes})


def write_script(file: Path, way: str = "") -> None:
    """Write the walk as a script for wrk, asked in one of the `WAYS`.

    Its argument is the number of pairs after which it begins again.
    """
    tokens = ",".join(f'"{token(index)}"' for index in range(TOKENS))
    before, after = (part.replace("\r\n", "\\r\\n") for part in WAYS[way])
    text = _SCRIPT.replace("TOKENS", tokens).replace("ROUTES", str(ROUTES))
    file.write_text(text.replace("BEFORE", before).replace("AFTER", after), encoding="utf-8")


# Requests are put together by hand: wrk.format costs several times as much, on the core that others need.
_SCRIPT = """\
local tokens = {TOKENS}
local paths, tails, number, pairs = {}, {}, 0, 0

function init(args)
  pairs = tonumber(args[1])
  for route = 0, ROUTES - 1 do paths[route] = "BEFORE/r" .. (ROUTES + route) .. "/items/" end
  for index, token in ipairs(tokens) do
    tails[index - 1] = string.format("%04d", index - 1) .. "AFTER\\r\\nAuthorization: Bearer " .. token
      .. "\\r\\n\\r\\n"
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
    '\\n{"requests": %d, "microseconds": %d, "wrong": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""
