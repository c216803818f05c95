"""The doors without sockets: one engine, its policy and tokens, and the verdict as each wire tells it."""

import itertools
import json
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from cases import ANSWERS
from extauthz._gen.extauthz_envoy_pb2 import CheckResponse, HeaderValueOption
from extauthz.authorizer import Authorizer
from extauthz.config.load import load_service
from extauthz.core.decision import Allow, Decision, Deny
from extauthz.core.introspection import Active, Answer, TokenState, read_answer
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.testing import RecordingObserver, StubResolver, TickingClock
from extauthz.wire.asgi import Message, Receive, Send
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.service import CHECK_PATH, CheckService, Options
from extauthz.wire.http.asgi import HttpDoor
from fuzz.questions import Lines, Question, frame
from support.running import SECRET, write_files
from support.stub_server import AUDIENCE, ISSUER, Reply, active

NOW = time.time()
"""Wall clock of the engine here; the tokens below are dated from it."""

POLICY = rf"""
version: 1
realm: 'the "api" \ of ours'
defaults:
  authorization_server: main
  audience: {AUDIENCE}
  identity_headers:
    x-auth-sub: sub
    x-auth-scope: scope
    x-auth-roles: {{claim: realm_access.roles, list: comma, non_ascii: percent}}
routes:
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: list-orders, path: /orders, methods: [GET, HEAD], scopes: [orders:read], edge_cache: 5s}}
  - {{name: create-order, path: /orders, methods: [POST], scopes: [orders:read, orders:write]}}
  - {{name: one-order, path: "/orders/{{id}}", scopes: [orders:read]}}
  - {{name: order-lines, path: /orders/**, methods: [GET], scopes: {{any_of: [[orders:lines], [orders:write]]}}}}
  - {{name: me, path: /me, scopes: [], forward_token: false}}
  - {{name: live, path: "/{{who}}/live", scopes: [], freshness: live}}
  - {{name: billing, path: /billing, methods: [GET], scopes: [], audience: "https://billing.example.com"}}
  - {{name: tenant-orders, host: "*.tenant.example.com", path: /orders/**, scopes: [tenant]}}
  - {{name: tenant-health, host: a.tenant.example.com, path: /healthz, scopes: []}}
  - {{name: tenant-open, host: b.tenant.example.com, path: /**, allow: anonymous}}
"""

_COSTLY = {"slow", "dropped", "too-large"}
REPLIES = {name: reply for name, reply in ANSWERS.items() if name not in _COSTLY} | {
    "roles": lambda: active(realm_access={"roles": ["chief", "Zoë, 100%"]}),
    "one-role": lambda: active(realm_access={"roles": ["Zoë"]}),
    "role-number": lambda: active(realm_access={"roles": 7}),
    "role-object": lambda: active(realm_access={"roles": {}}),
    "tenant": lambda: active(scope="tenant", sub=None),
}
"""What the authorization server says about each token; all others are inactive."""


def _state(reply: Reply) -> TokenState:
    retry_after = reply.headers.get("retry-after", "")
    answer = Answer(status=reply.status, content_type=reply.content_type, body=reply.body, retry_after=retry_after)
    return read_answer(answer, issuer=ISSUER, answers_others=True)


STATES: Mapping[str, TokenState] = {name: _state(reply()) for name, reply in REPLIES.items()}
"""The same tokens for a resolver that asks nobody."""


def compiled(text: str) -> Snapshot:
    """A policy as a running service has it."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder), introspection="http://127.0.0.1:1/", policy=text)
        return load_service(Path(folder) / "extauthz.yaml", {"EXTAUTHZ_CLIENT_SECRET": SECRET}).snapshot


# ---- the verdict ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What every wire can tell about a decision; an allow has status 200.

    `identity` is what the upstream must see and `absent` what it must not, both sorted.
    """

    status: int
    reason: str
    challenge: str = ""
    retry_after: int = 0
    identity: Lines = ()
    absent: tuple[str, ...] = ()

    @property
    def allows(self) -> bool:
        """Whether the request passes."""
        return self.status == 200


def verdict(decision: Decision) -> Verdict:
    """The verdict as the engine gives it."""
    match decision:
        case Allow(reason=reason, identity=identity, absent=absent):
            return Verdict(
                status=200, reason=reason.value, identity=tuple(sorted(identity)), absent=tuple(sorted(absent))
            )
        case Deny(reason=reason, challenge=challenge, retry_after=retry_after):
            return Verdict(
                status=decision.outcome.status, reason=reason.value, challenge=challenge, retry_after=retry_after
            )


def read_check_response(message: bytes, guarded: Iterable[str]) -> Verdict:
    """The verdict as Envoy takes it, after a look at everything that Envoy would stumble over.

    `guarded` are the names of all headers that the policy sets or removes.
    """
    response = CheckResponse.FromString(message)
    reason = response.dynamic_metadata["reason"]
    assert isinstance(reason, str)
    if response.status.code == 0:
        assert response.HasField("status")
        assert response.WhichOneof("http_response") == "ok_response"
        identity = _set_headers(response.ok_response.headers)
        removed = list(response.ok_response.headers_to_remove)
        assert len(set(removed)) == len(removed)
        assert not set(removed) & {name for name, _ in identity}
        assert "x-envoy-auth-failure-mode-allowed" in removed
        absent = tuple(sorted({*removed} & {*guarded}))
        return Verdict(status=200, reason=reason, identity=tuple(sorted(identity)), absent=absent)
    assert response.WhichOneof("http_response") == "denied_response"
    denied = response.denied_response
    headers = dict(_set_headers(denied.headers))
    assert 400 <= denied.status.code <= 599
    assert json.loads(denied.body) == {"error": reason}
    assert (headers["x-authz-reason"], headers["cache-control"]) == (reason, "no-store")
    return Verdict(
        status=denied.status.code,
        reason=reason,
        challenge=headers.get("www-authenticate", ""),
        retry_after=int(headers.get("retry-after", "0")),
    )


def _set_headers(options: Iterable[HeaderValueOption]) -> Lines:
    found = []
    for option in options:
        name, value = option.header.key, option.header.value
        assert_sendable(name, value)
        assert option.header.raw_value == b""
        assert option.HasField("append")
        assert option.append.value is False
        assert option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        found.append((name, value))
    assert len(dict(found)) == len(found)
    return tuple(found)


def assert_sendable(name: str, value: str) -> None:
    """A header that no proxy refuses, folds or takes for its own: printable ASCII, no blanks at the ends."""
    assert name == name.lower()
    assert all(character.isascii() and (character.isalnum() or character == "-") for character in name)
    assert all(" " <= character <= "~" for character in value)
    assert value == value.strip()


def read_nginx_answer(status: int, lines: Iterable[tuple[bytes, bytes]], guarded: Iterable[str]) -> Verdict:
    """The verdict as NGINX takes it with our recipe."""
    pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    for name, value in pairs:
        assert_sendable(name, value)
    assert status in {200, 401, 403, 500}
    assert ("www-authenticate" in headers) is (status == 401)
    if status == 200:
        told = {name: headers[name] for name in guarded if name in headers}
        return Verdict(
            status=200,
            reason=headers["x-authz-reason"],
            identity=tuple(sorted((name, value) for name, value in told.items() if value)),
            absent=tuple(sorted(name for name, value in told.items() if not value)),
        )
    assert not {*guarded} & headers.keys()
    return Verdict(
        status=int(headers["x-authz-status"]),
        reason=headers["x-authz-reason"],
        challenge=headers.get("www-authenticate", headers.get("x-authz-challenge", "")),
        retry_after=int(headers.get("retry-after", "0")),
    )


# ---- the doors --------------------------------------------------------------------------------------------------


Result = TypeVar("Result")


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing: no event loop is needed."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("Result", end.value)
    coroutine.close()
    raise AssertionError("nothing here has a reason to wait")


class Doors:
    """Every door of one engine. The tokens are known from a table, and the clocks stand still."""

    def __init__(self, policy: Snapshot, states: Mapping[str, TokenState], *, read_extensions: bool = False) -> None:
        self.guarded = tuple(sorted({name for rule in policy.routes.rules for name in rule.identity.names}))
        self._resolver = StubResolver(states)
        self._observer = RecordingObserver()
        numbers = itertools.count()
        self._authorizer = Authorizer(
            policy=policy,
            resolver=self._resolver,
            observer=self._observer,
            wall=TickingClock(NOW),
            monotonic=TickingClock(1000.0),
            decision_ids=lambda: f"{next(numbers):024x}",
        )
        self._check = CheckService(self._authorizer, Options(read_extensions=read_extensions))
        self._method = GrpcMethod(self._check)
        self._http = HttpDoor(self._authorizer)

    @property
    def admitted(self) -> str | None:
        """The token that was looked up for the last question, if it is a live one."""
        text = self._resolver.asked[-1].token.reveal() if self._resolver.asked else ""
        return text if isinstance(self._resolver.states.get(text), Active) else None

    def engine(self, question: Question) -> Verdict:
        """The engine itself."""
        asked = AuthRequest(
            door="test",
            method=question.method,
            target=question.target,
            host=question.host,
            authorization=question.authorization,
        )
        self._forget()
        return verdict(finish(self._authorizer.check(asked)))

    def check(self, message: bytes, deadline: float | None = None) -> bytes:
        """The gRPC codec: a CheckRequest to a CheckResponse."""
        self._forget()
        return finish(self._check(message, deadline))

    def check_framed(self, framed: bytes, cuts: Iterable[int] = (), timeout: bytes | None = None) -> list[Message]:
        """The same over ASGI: the framed body in pieces, and all that was sent back."""
        self._forget()
        bounds = sorted({0, len(framed), *(cut % (len(framed) + 1) for cut in cuts)})
        pieces = [framed[start:end] for start, end in itertools.pairwise(bounds)] or [b""]
        waiting: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": at < len(pieces)} for at, piece in enumerate(pieces, 1)
        ]
        sent: list[Message] = []
        headers = [(b"te", b"trailers"), *([] if timeout is None else [(b"grpc-timeout", timeout)])]
        scope = {"type": "http", "method": "POST", "path": CHECK_PATH, "headers": headers}
        finish(self._method(scope, _giver(waiting), _taker(sent)))
        return sent

    def nginx(self, lines: Iterable[tuple[bytes, bytes]]) -> Verdict:
        """The HTTP door in the dialect of NGINX; names in lower case, as ASGI has them."""
        self._forget()
        sent: list[Message] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/nginx",
            "raw_path": b"/nginx",
            "query_string": b"",
            "headers": list(lines),
            "client": ("127.0.0.1", 40_000),
        }
        finish(self._http(scope, _giver([]), _taker(sent)))
        start, body = sent
        assert body["body"] == b"", "an answer with a body costs NGINX its connection"
        return read_nginx_answer(start["status"], start["headers"], self.guarded)

    def _forget(self) -> None:
        """Keep nothing from one question to the next, however many there are."""
        self._resolver.asked.clear()
        self._observer.checks.clear()


def _giver(waiting: list[Message]) -> Receive:
    async def receive() -> Message:
        return waiting.pop(0)

    return receive


def _taker(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


def unframed(sent: list[Message]) -> bytes:
    """The message of a call that ended well."""
    start, body, trailers = sent
    assert (start["status"], start["trailers"]) == (200, True)
    assert trailers["headers"] == [(b"grpc-status", b"0")]
    assert body["body"] == frame(body["body"][5:])
    return bytes(body["body"][5:])
