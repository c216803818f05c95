"""What the guard counts: a whole worker, built as `extauthz serve` builds it, and the questions that it is asked.

Questions go to its gateway application as h2corn would hand them on. The authorization server is a function.
"""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.counting import Work
from bench.files import write_extauthz
from bench.workload import AUDIENCE, HOST, REFUSED, ROUTES, SCOPE, TOKENS, inactive_token, path, policy, token
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest
from extauthz.app import Service, build
from extauthz.config.load import load_service
from extauthz.core.decision import Allow, Reason
from extauthz.core.introspection import Answer, TokenState, read_answer
from extauthz.core.request import AuthRequest
from extauthz.core.token import Token
from extauthz.observe.events import DECISION_ID_LENGTH, Checked
from extauthz.observe.logs import configure
from extauthz.wire.asgi import Message, Scope
from extauthz.wire.envoy.service import CHECK_PATH

WARM = 256
"""Tokens that are asked about before anything is counted."""

EXPECTED = {
    *((door, "allowed") for door in ("envoy", "nginx", "forward-auth", "envoy-http", "gateway-api")),
    *(("envoy", reason) for reason in ("no_credentials", "no_route", "inactive")),
}
"""What the record must say: the cost of another answer is not what is meant."""

_FIRST_NEW = 1_000_000
_EVENT = Checked(
    "0" * DECISION_ID_LENGTH,
    1_700_000_000.0,
    "envoy",
    "a3d99aff-ac65-42b4-80c3-94801092df8f",
    "GET",
    HOST,
    path(0, 0),
    Allow(reason=Reason.ALLOWED, rule="read-100", identity=(), absent=()),
    "memory",
    "user-1",
    "bench",
    SCOPE,
    0.0001,
)


class _Server:
    """The authorization server: what it answers is read as if it had come over the network."""

    async def ask(self, token: Token) -> TokenState:
        """Inactive for the tokens that the work calls so."""
        text = token.reveal()
        body = (
            b'{"active": false}'
            if text.startswith(REFUSED.rstrip("-"))
            else (
                f'{{"active": true, "client_id": "bench", "sub": "user-{text[:32]}", "scope": "{SCOPE}",'
                f' "aud": "{AUDIENCE}", "exp": 4000000000}}'
            ).encode()
        )
        answer = Answer(status=200, content_type="application/json", body=body)
        return read_answer(answer, issuer=None, answers_others=True)

    async def close(self) -> None:
        """Nothing is open."""


class Door:
    """Makes questions to one worker, as the HTTP server hands them on."""

    def __init__(self, service: Service) -> None:
        self._app = service.gateway

    def envoy(self, target: str, bearer: str) -> Work:
        """One gRPC call, as Envoy makes it."""
        message = _check_request(target, bearer)
        body = b"\0" + len(message).to_bytes(4) + message
        headers = [(b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"grpc-timeout", b"1000m")]
        return self._question("POST", CHECK_PATH, headers, body)

    def nginx(self, target: str, bearer: str) -> Work:
        """One question of `auth_request`."""
        headers = [
            (b"x-original-method", b"GET"),
            (b"x-original-uri", target.encode()),
            (b"x-original-host", HOST.encode()),
        ]
        return self._question("GET", "/nginx", [*headers, *_of_client(bearer)])

    def forward_auth(self, target: str, bearer: str) -> Work:
        """One question of Traefik or Caddy."""
        headers = [
            (b"x-forwarded-method", b"GET"),
            (b"x-forwarded-uri", target.encode()),
            (b"x-forwarded-host", HOST.encode()),
            (b"x-forwarded-proto", b"http"),
            (b"x-forwarded-for", b"127.0.0.1"),
        ]
        return self._question("GET", "/forward-auth", [*headers, *_of_client(bearer)])

    def envoy_http(self, target: str, bearer: str) -> Work:
        """One question of Envoy's `http_service`."""
        return self._question("GET", f"/envoy{target}", [(b"host", HOST.encode()), *_of_client(bearer)])

    def gateway_api(self, target: str, bearer: str) -> Work:
        """One question of NGINX Gateway Fabric."""
        headers = [(b"method", b"GET"), (b"path", target.encode()), (b"host", HOST.encode())]
        return self._question("GET", "/gateway-api", [*headers, *_of_client(bearer)])

    def _question(self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> Work:
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
        }
        return partial(self._app, scope, partial(_receive, body), _send)


async def _receive(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


async def _send(_message: Message) -> None:
    pass


def _of_client(bearer: str) -> list[tuple[bytes, bytes]]:
    authorization = [(b"authorization", f"Bearer {bearer}".encode())] if bearer else []
    return [(b"x-request-id", b"a3d99aff-ac65-42b4-80c3-94801092df8f"), (b"accept", b"*/*"), *authorization]


def _check_request(target: str, bearer: str) -> bytes:
    request = CheckRequest()
    http = request.attributes.request.http
    http.id, http.method, http.path, http.host = "13224511538441546755", "GET", target, HOST
    for name, value in _of_client(bearer):
        http.header_map.headers.add(key=name.decode(), raw_value=value)
    return request.SerializeToString()


def kinds(service: Service) -> dict[str, Iterator[Work]]:
    """Each kind of work, without end. Tokens are cached and pairs of token and route are new, unless it says otherwise."""
    door = Door(service)
    doors = {
        "envoy": door.envoy,
        "nginx": door.nginx,
        "forward-auth": door.forward_auth,
        "envoy-http": door.envoy_http,
        "gateway-api": door.gateway_api,
    }
    return {
        **{f"{name}, cached token": itertools.starmap(ask, _pairs()) for name, ask in doors.items()},
        "envoy, the same again": itertools.repeat(door.envoy(_path(0), token(0))),
        "envoy, no token": (door.envoy(_path(number), "") for number in _numbers()),
        "envoy, no route": (door.envoy(f"/nowhere/{number:08}", token(0)) for number in _numbers()),
        "envoy, never-seen token": (door.envoy(_path(0), token(number)) for number in _numbers()),
        "envoy, inactive token": (door.envoy(_path(0), inactive_token(number)) for number in _numbers()),
        "authorizer alone": (partial(service.authorizer.check, _request(*pair)) for pair in _pairs()),
        "audit and metrics alone": itertools.repeat(partial(_record, service)),
    }


async def _record(service: Service) -> None:
    service.observer.checked(_EVENT)


def _request(target: str, bearer: str) -> AuthRequest:
    return AuthRequest(door="envoy", method="GET", target=target, host=HOST, authorization=(f"Bearer {bearer}",))


def _numbers() -> Iterator[int]:
    return itertools.count(_FIRST_NEW)


def _path(number: int) -> str:
    return path(number % TOKENS, number % ROUTES)


def _pairs() -> Iterator[tuple[str, str]]:
    """Paths that never come twice, and tokens that do."""
    return ((path(number % TOKENS, number // TOKENS % ROUTES), token(number % WARM)) for number in _numbers())


def reasons(record: Path) -> set[tuple[str, str]]:
    """Doors and the reasons of what they answered, as an audit log has them."""
    events = (json.loads(line) for line in record.read_bytes().splitlines())
    return {(event["door"], event["reason"]) for event in events}


@asynccontextmanager
async def worker(folder: Path, **more: object) -> AsyncIterator[Service]:
    """A worker that does not listen, with the work's policy and every dialect; its record goes to a file."""
    file = write_extauthz(
        folder,
        introspection="http://127.0.0.1:1/introspect",
        gateway=1,
        ops=2,
        policy=policy(),
        more={"dialects": ["nginx", "forward-auth", "envoy", "gateway-api"], **more},
    )
    config = load_service(file, {})
    configure(config.settings.log.level, config.settings.log.format)
    service = build(config)
    resolver = service.resolver
    resolver._sources = {  # noqa: SLF001 - the one part that would go to the network
        name: replace(source, client=_Server())
        for name, source in resolver._sources.items()  # noqa: SLF001 - likewise
    }
    try:
        yield service
    finally:
        await service.close()
