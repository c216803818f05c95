"""The doors without sockets: one engine, its policy and tokens, and all ways to ask it."""

import itertools
import time
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from cases import ANSWERS
from extauthz.authorizer import Authorizer
from extauthz.config.load import load_service
from extauthz.core.introspection import Active, Answer, TokenState, read_answer
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.testing import RecordingObserver, StubResolver, TickingClock
from extauthz.wire.asgi import Message, Receive, Send
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.service import CHECK_PATH, CheckService, Options
from extauthz.wire.http.asgi import DIALECTS, HttpDoor
from extauthz.wire.http.metadata import Headers
from fuzz.questions import Question, frame
from fuzz.verdicts import Verdict, read_nginx_answer, verdict
from support.running import write_files
from support.stub_server import AUDIENCE, ISSUER, SECRET, Reply, active

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


def _costs_time(name: str, reply: Reply) -> bool:
    """Or is none: what it says is then no longer what the bytes of its body say."""
    return name == "too-large" or reply.slow or reply.drip or reply.dropped


REPLIES = {name: reply for name, reply in ANSWERS.items() if not _costs_time(name, reply())} | {
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


# ---- the doors --------------------------------------------------------------------------------------------------


Result = TypeVar("Result")


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that waits for nothing, but lets others go first twice: no event loop is needed."""
    try:
        for _ in range(3):
            assert coroutine.send(None) is None, "nothing here has anything to wait for"
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
        self._http = HttpDoor(self._authorizer, dialects=DIALECTS)

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

    def http(self, method: str, target: str, lines: Iterable[tuple[bytes, bytes]]) -> tuple[int, Headers, bytes]:
        """The HTTP door: status, headers and body of the answer; names in lower case, as ASGI has them."""
        self._forget()
        sent: list[Message] = []
        path, _, query = target.encode("latin-1").partition(b"?")
        scope = {
            "type": "http",
            "method": method,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": list(lines),
            "client": ("127.0.0.1", 40_000),
        }
        finish(self._http(scope, _giver([]), _taker(sent)))
        start, body = sent
        return start["status"], start["headers"], body["body"]

    def nginx(self, lines: Iterable[tuple[bytes, bytes]]) -> Verdict:
        """The HTTP door in the dialect of NGINX."""
        status, headers, body = self.http("GET", "/nginx", lines)
        assert body == b"", "an answer with a body costs NGINX its connection"
        return read_nginx_answer(status, headers, self.guarded)

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


DOORS = Doors(compiled(POLICY), STATES)
"""Those of the policy above, for all who need no others."""
