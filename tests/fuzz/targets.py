"""What is fuzzed: functions that take any bytes and object to any answer that must not be.

Each makes a question out of the bytes, asks, and compares with a second opinion where there is one. Its seeds are the
questions of the tables that the other tests use, so that chance starts where it hurts.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from math import isfinite
from pathlib import Path

from cases import ANSWERS, CASES
from extauthz.core.challenge import challenge, check_realm
from extauthz.core.decision import OUTCOMES, Reason
from extauthz.core.identity import IdentityHeader, IdentityHeaders, ListStyle, NonAscii
from extauthz.core.introspection import (
    MAX_RETRY_AFTER_SECONDS,
    Active,
    Answer,
    Inactive,
    TokenState,
    Unavailable,
    read_answer,
)
from extauthz.core.paths import canonical_host, canonical_path
from extauthz.core.policy import decide
from extauthz.core.scopes import parse_scope
from extauthz.testing import policy, rule
from extauthz.wire.asgi import Message
from extauthz.wire.envoy import encode as envoy
from extauthz.wire.envoy.decode import REQUIRED_SCOPE
from extauthz.wire.http import nginx
from extauthz.wire.http.nginx import METADATA
from fuzz.doors import DOORS, NOW, STATES, Doors, unframed
from fuzz.oddities import BASES, HOSTS, PLACES, TARGETS as PATHS, one_by_one, with_urls
from fuzz.questions import Form, Question, asked, check_request, field, frame, nginx_lines, octets
from fuzz.verdicts import read_check_response, read_nginx_answer, verdict
from property.references import best_rule, read_as_nginx, read_as_rfc3986, read_as_whatwg, read_challenges

SEEDS = Path(__file__).with_name("seeds")
"""Inputs that once found something, by target: `<target>-<digest>.bin`. They are replayed for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        fuzz_one: asks about these bytes; raises when the answer is wrong.
        seeds: inputs to begin with.
        homes: the test files, one of which a finding becomes a named case in.
    """

    fuzz_one: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    homes: tuple[str, ...]


_GUARDED_POLICY = policy(
    rule(name="all", path="/**"),
    rule(name="tenant", host="*.tenant.example.com", path="/**", alternatives=(frozenset({"tenant"}),)),
)
"""No public route: nothing passes here without a token."""

_DOORS = Doors(_GUARDED_POLICY, STATES)
_DEMANDING_DOORS = Doors(_GUARDED_POLICY, STATES, read_extensions=True)

# ---- grpc_check -------------------------------------------------------------------------------------------------


def grpc_check(data: bytes) -> None:
    """A CheckRequest, framed, with a deadline: always a CheckResponse, and an allow only for a token that is in it.

    The first line of the input is the `grpc-timeout`, if it is not empty; all after it is the message.
    """
    timeout, _, message = data.partition(b"\n")
    answer = _DOORS.check(message)
    decided = read_check_response(answer, _DOORS.guarded)
    if decided.allows:
        assert _DOORS.admitted is not None
        assert _DOORS.admitted.encode() in message
    with_extensions = read_check_response(_DEMANDING_DOORS.check(message), _DOORS.guarded)
    assert with_extensions.allows <= decided.allows
    assert len(read_challenges(with_extensions.challenge)) <= 1
    sent = _DOORS.check_framed(frame(message), [len(message) // 2], timeout or None)
    assert read_check_response(unframed(sent), _DOORS.guarded) == decided
    assert _status_of(_DOORS.check_framed(message)) in {b"0", b"12", b"13"}


def _status_of(sent: list[Message]) -> bytes:
    """The one `grpc-status` of a call, in the head or in the trailers."""
    [status] = [value for message in sent for name, value in message.get("headers", ()) if name == b"grpc-status"]
    return bytes(status)


def _grpc_seeds() -> Iterable[bytes]:
    for form in Form:
        yield from (b"1S\n" + check_request(asked(case.request), form) for case in CASES)
    for place in PLACES:
        yield from (b"\n" + check_request(question, Form.RAW) for question in one_by_one(place, BASES[:1]))
    base = check_request(BASES[0], Form.RAW)
    yield from (b"\n" + base + _extension(value) for value in (b"orders:write", b"", b"a  b", b"orders:read"))
    yield from (b"\n", b"200m\n\xff", b"\n" + check_request(Question(method="\xe9"), Form.RAW))


def _extension(scope: bytes) -> bytes:
    """More of a CheckRequest, which protobuf merges: `context_extensions.required_scope`."""
    return field(1, field(10, field(1, REQUIRED_SCOPE.encode()) + field(2, scope)))


# ---- path_judge -------------------------------------------------------------------------------------------------

_HOSTILE_CHARACTERS = set('\\;#?"<>^`{|}')
_HOSTILE_ESCAPES = re.compile("%(2[Ff]|5[Cc]|[01].|7[Ff]|25|2[Ee])")
_PATTERNS = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/{p}",
    "/a/{p}/c",
    "/a/**",
    "/{p}/b",
    "/{p}/{q}/",
    "/admin/**",
    "/%41/:",
    "/**",
)
_RULES = [rule(name=pattern, path=pattern) for pattern in _PATTERNS]
_TABLE = policy(*_RULES).routes


def path_judge(data: bytes) -> None:
    """A target and a host: an answer for all of them, the same a second time, and the same rule for every reader.

    The input is the target; what stands after its last line end is the host.
    """
    target, _, host = data.decode("latin-1").rpartition("\n")
    name = canonical_host(host)
    if name is not None:
        assert name == canonical_host(name) == name.lower()
        assert not set(name) & set("/@,?#\\% \t")
    path = target.partition("?")[0]
    canonical = canonical_path(target)
    assert canonical == canonical_path(path) == canonical_path(path + "?" + host)
    if canonical is None:
        return
    assert canonical_path(canonical) == canonical
    assert canonical.startswith("/")
    assert all("!" <= character <= "~" for character in canonical)
    assert not set(canonical) & _HOSTILE_CHARACTERS
    assert not _HOSTILE_ESCAPES.search(canonical)
    *middle, last = canonical.split("/")[1:]
    assert not {"", ".", ".."} & {*middle}
    assert last not in {".", ".."}
    seen = read_as_nginx(canonical)
    assert read_as_rfc3986(path) == read_as_whatwg(path) == read_as_nginx(path) == seen
    assert _TABLE.match("GET", "", canonical) is best_rule(_RULES, "GET", "", seen)


def _path_seeds() -> Iterable[bytes]:
    yield from (f"{case.request.target}\n{case.request.host}".encode("latin-1") for case in CASES)
    yield from (f"{target}\n{host}".encode("latin-1") for target, host in zip_longest(PATHS, HOSTS, fillvalue=""))
    yield from (b"/a/%62/%63?x\n[::1]:80", b"/%41/:\nA.example.", b"/caf%C3%A9/%F0%9F%98%80\n", b"/%c0%af\n_x")


# ---- introspection_answer ---------------------------------------------------------------------------------------

_STATUSES = (200, 200, 200, 200, 200, 400, 401, 403, 404, 429, 500, 503, 302, 204)
_ISSUER = "https://as.example.com"
_IDENTITY = IdentityHeaders(
    headers=(
        IdentityHeader(name="x-auth-sub", claim="sub", non_ascii=NonAscii.PERCENT),
        IdentityHeader(name="x-auth-scope", claim="scope"),
        IdentityHeader(name="x-auth-roles", claim="realm_access.roles", lists=ListStyle.COMMA),
        IdentityHeader(name="x-auth-groups", claim="groups", lists=ListStyle.JSON),
        IdentityHeader(name="x-auth-name", claim="name", lists=ListStyle.SPACE, non_ascii=NonAscii.BASE64URL),
    )
)
_NAMES = _IDENTITY.names
_RULE = rule(audience="https://api.example.com", identity=_IDENTITY)


def introspection_answer(data: bytes) -> None:
    """An answer of an authorization server: never an exception, active only where JSON says so once, and fit to send.

    The first octet chooses the status; then come a line of content type, a line of `Retry-After`, and the body.
    """
    head, _, body = data[1:].partition(b"\n\n")
    content_type, _, retry_after = head.decode("latin-1").partition("\n")
    status = _STATUSES[data[0] % len(_STATUSES)] if data else 200
    answer = Answer(status=status, content_type=content_type, body=body, retry_after=retry_after)
    for answers_others in (False, True):
        state = read_answer(answer, issuer=_ISSUER, answers_others=answers_others)
        _judge_state(state, answer)
        decision = decide(_RULE, state, NOW)
        told = verdict(decision)
        assert told.allows <= isinstance(state, Active)
        assert read_check_response(envoy.encode(decision) + reason_metadata(told.reason), _NAMES) == told
        wire_status, lines, _ = nginx.encode(decision)
        assert read_nginx_answer(wire_status, lines, _NAMES) == told


def reason_metadata(reason: str) -> bytes:
    """The part of the dynamic metadata that `read_check_response` wants to see."""
    return envoy._metadata({"reason": reason})  # noqa: SLF001


def _judge_state(state: TokenState, answer: Answer) -> None:
    match state:
        case Active():
            assert answer.status == 200
            assert answer.content_type.partition(";")[0].strip().lower() == "application/json"
            pairs = json.loads(answer.body, object_pairs_hook=_Pairs, parse_constant=_no_constant)
            assert isinstance(pairs, _Pairs)
            assert [value for name, value in pairs if name == "active"] == [True]
            assert all(type(value) is bool for name, value in pairs if name == "active")
            assert all(isfinite(time) for time in (state.exp, state.nbf) if time is not None)
            texts = [text for text in (state.sub, state.client_id, state.username, state.iss, state.jti) if text]
            assert not any(character < " " or "\ud800" <= character <= "\udfff" for character in "".join(texts))
            assert state.scopes == {*state.scope.split(" ")} - {""}
            assert state.iss in (None, _ISSUER)
        case Inactive(reason=reason):
            assert answer.status in {200, 400}
            assert OUTCOMES[reason].status == 401
        case Unavailable(reason=reason, retry_after=seconds):
            assert OUTCOMES[reason].status == 503
            assert 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


class _Pairs(list[tuple[str, object]]):
    """A JSON object with every member that was written, in order."""


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _answer_seeds() -> Iterable[bytes]:
    for reply in ANSWERS.values():
        made = reply()
        if len(made.body) < 10_000 and made.status in _STATUSES:
            status = _STATUSES.index(made.status)
            retry_after = made.headers.get("retry-after", "")
            yield bytes([status]) + f"{made.content_type}\n{retry_after}\n\n".encode() + made.body
    for claim in (
        b'"realm_access":{"roles":["a","b"]}',
        b'"groups":[{"a":1.5}]',
        b'"name":"Zo\xc3\xab"',
        b'"sub":"Zo\\u00eb%"',
    ):
        yield (
            b"\0application/json\n\n\n"
            b'{"active":true,"aud":"https://api.example.com","scope":"orders:read",' + claim + b"}"
        )
    yield b"\5application/json\n\n\n" + b'{"error":"invalid_request"}'
    yield b"\5application/json\n\n\n" + b'{"error":"invalid_client"}'


# ---- challenge_writer -------------------------------------------------------------------------------------------

_DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")


def challenge_writer(data: bytes) -> None:
    """A realm and scopes that the configuration takes: one challenge, by RFC 9110 and RFC 6750, that says the same.

    The first line of the input is the realm, the rest is the scope.
    """
    realm, _, words = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        check_realm(realm)
        scope = parse_scope(words) if words else ()
    except ValueError:
        return
    for reason, outcome in OUTCOMES.items():
        value = challenge(reason, realm, scope)
        assert all(" " <= character <= "~" for character in value)
        assert bool(value) is outcome.challenged
        for scheme, parameters in read_challenges(value):
            told = dict(parameters)
            assert (scheme, len(told)) == ("bearer", len(parameters))
            assert told["realm"] == realm
            assert told.get("error", "") == outcome.error
            assert ("error" in told) is ("error_description" in told)
            assert _DESCRIPTION.fullmatch(told.get("error_description", "-"))
            assert told.get("scope", "") == (" ".join(scope) if reason is Reason.INSUFFICIENT_SCOPE else "")
            assert _SCOPE.fullmatch(told.get("scope", "-"))
            assert told.keys() <= {"realm", "error", "error_description", "scope"}
        assert len(read_challenges(value)) == int(outcome.challenged)


_CHALLENGE_SEEDS = (
    b"api\norders:read",
    b'the "api" \\ of ours\na b',
    b"\\\n",
    b'"\n',
    b", Basic realm=x\n!",
    b"\xc3\xa9\n\xff",
)

# ---- nginx_headers ----------------------------------------------------------------------------------------------

_METADATA = [name.decode() for name in METADATA]


def nginx_headers(data: bytes) -> None:
    """Header lines at the HTTP door: an answer that NGINX understands, and the one that a slow reading leads to.

    Each line of the input is a header; names come in lower case from any HTTP server.
    """
    lines = [(name.lower(), value) for name, _, value in (line.partition(b":") for line in data.split(b"\n"))]
    told = DOORS.nginx(lines)
    admitted = DOORS.admitted
    if told.allows and told.reason != Reason.PUBLIC:
        assert admitted is not None
        assert any(name == b"authorization" and admitted.encode() in value for name, value in lines)
    question = _read_slowly([(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines])
    if isinstance(question, Reason):
        assert (told.reason, told.allows) == (question.value, False)
    else:
        assert told == DOORS.engine(question)


def _read_slowly(lines: list[tuple[str, str]]) -> Question | Reason:
    """The question in these headers, or the reason that they give for having none."""
    values: Mapping[str, list[str]] = {name: [value for key, value in lines if key == name] for name, _ in lines}
    once = [*_METADATA, "x-request-id"]
    read = {*once, *DOORS.guarded}
    url, host = _one(values, "x-original-url"), _one(values, "x-original-host") or ""
    method, target = _one(values, "x-original-method"), _one(values, "x-original-uri")
    if url is not None:
        named, slash, path = url.partition("://")[2].partition("/")
        is_url = url.startswith(("http://", "https://", "ws://", "wss://")) and named and slash
        confirmed = target in (None, "/" + path) and (not host or canonical_host(host) == canonical_host(named))
        if is_url and confirmed and not set(named) & set("?#\\@"):
            target, host = "/" + path, named
        else:
            return Reason.MISCONFIGURED_GATEWAY if method is None else Reason.BAD_METADATA
    if method is None or target is None:
        return Reason.MISCONFIGURED_GATEWAY
    twice = any(len(values.get(name, [])) > 1 for name in once)
    imitated = any(name not in read and re.sub("[_.]", "-", name) in read for name in values)
    if twice or imitated or not method or not target or "," in method:
        return Reason.BAD_METADATA
    return Question(method=method, target=target, host=host, authorization=tuple(values.get("authorization", ())))


def _one(values: Mapping[str, list[str]], name: str) -> str | None:
    """The first value: which one of several does not matter, for they are refused."""
    return values[name][0] if name in values else None


def _nginx_seeds() -> Iterable[bytes]:
    odd = (question for place in PLACES for question in one_by_one(place, BASES[:1]))
    for question in (*(asked(case.request) for case in CASES), *odd, *with_urls()):
        yield b"\n".join(name + b":" + value for name, value in octets(nginx_lines(question)))
    yield b"x-original-method:GET\nx-original-url:https://api.example.com/orders/1\nauthorization:Bearer reader"
    yield b"x-original-method:GET\nx-original-uri:/me\nx-auth-sub:evil\nx_auth_sub:evil\nauthorization:Bearer reader"
    yield b"x-original-method:GET\nx-original-method:GET\nx-original-uri:/healthz"


# ---- all of them ------------------------------------------------------------------------------------------------


def _target(fuzz_one: Callable[[bytes], None], seeds: Iterable[bytes], *homes: str) -> Target:
    found = (path.read_bytes() for path in sorted(SEEDS.glob(f"{fuzz_one.__name__}-*.bin")))
    return Target(
        fuzz_one=fuzz_one,
        seeds=tuple(dict.fromkeys((*seeds, *found))),
        homes=tuple(f"tests/unit/{home}.py" for home in homes),
    )


TARGETS: Mapping[str, Target] = {
    target.fuzz_one.__name__: target
    for target in (
        _target(
            grpc_check,
            _grpc_seeds(),
            *(
                "wire/envoy/test_service",
                "wire/envoy/test_decode",
                "wire/envoy/test_deadline",
                "wire/envoy/test_grpc_asgi",
            ),
        ),
        _target(path_judge, _path_seeds(), "core/test_paths"),
        _target(introspection_answer, _answer_seeds(), "core/test_introspection", "core/test_introspection_members"),
        _target(challenge_writer, _CHALLENGE_SEEDS, "core/test_challenge"),
        _target(nginx_headers, _nginx_seeds(), "wire/http/test_nginx", "wire/http/test_metadata"),
    )
}
