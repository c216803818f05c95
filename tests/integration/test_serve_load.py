"""`extauthz serve` when an authorization server is slow, broken or asked too much: it says so, and recovers by itself.

One process knows several servers, each set up for one test; behind all of them is the same stub.
"""

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest

from extauthz._gen.extauthz_envoy_pb2 import (
    Address,
    AttributeContext,
    CheckRequest,
    CheckResponse,
    HttpRequest,
    Peer,
    Request,
    SocketAddress,
)
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH
from support.serving import Service, call, get, loopback, metadata, wait_until, write_files
from support.stub_server import Reply, StubServer, active, raw

BURST = 5
PER_MINUTE = 60
SLOW = Reply(body=active().body, slow=True)
BROKEN = Reply(status=503)
ODD = [Reply(status=400, body=b'{"error":"unsupported_token_type"}'), Reply(status=404), Reply(status=401), raw(b"{}")]

SERVERS: dict[str, dict[str, object]] = {
    "plain": {},
    "overload": {"max_connections": 2, "max_waiting": 0, "timeout": "5s"},
    "circuit": {
        "retries": 0,
        "timeout": "4s",  # no pause is shorter
        "circuit": {"failures": 3, "window": 3, "pause": "1s", "longest_pause": "1s"},
    },
    "retried": {"retries": 2},
    "odd": {"circuit": {"failures": 3, "window": 3}},
    "batch": {"batch": {"delay": "1s", "size": 10, "endpoint": "…"}},
    "gathered": {"batch": {"delay": "20ms", "size": 10}},
    "shaped": {"tokens": {"prefix": "tok_", "min_length": 10, "alphabet": "hex"}},
    "refusing": {},
}
POLICY = "version: 1\nroutes:\n" + "".join(
    f"  - {{name: {name}, path: /{name}, scopes: [], authorization_server: {name}}}\n" for name in SERVERS
)


class Serving:
    """The running service and the server behind it."""

    def __init__(self, service: Service, stub: StubServer, gateway: int, ops: int) -> None:
        self.service = service
        self.stub = stub
        self.gateway = gateway
        self._ops = ops

    def ask(self, server: str, token: str, address: str = "") -> tuple[int, str]:
        """The status that is meant for the client, and the reason, of a request whose token this server knows."""
        source = [("X-Original-Remote-Addr", address)] if address else []
        answer = get(self.gateway, "/nginx", [*metadata(f"/{server}"), ("Authorization", f"Bearer {token}"), *source])
        headers = dict(answer.headers)
        return int(headers.get("x-authz-status", answer.status)), headers["x-authz-reason"]

    def ask_all(self, server: str, tokens: list[str]) -> list[tuple[int, str]]:
        """All at the same time."""
        with ThreadPoolExecutor(len(tokens)) as pool:
            return list(pool.map(lambda token: self.ask(server, token), tokens))

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample, 0 without one."""
        for line in get(self._ops, "/metrics").text.splitlines():
            said, _, number = line.rpartition(" ")
            if said.startswith(name) and all(f'{key}="{value}"' in said for key, value in labels.items()):
                return float(number)
        return 0.0

    def logged(self, event: str, subject: str) -> list[dict[str, str]]:
        """Log lines about a server."""
        lines = [json.loads(line) for line in self.service.stderr.split("\n")[:-1]]
        return [line for line in lines if line["event"] == event and line.get("subject") == subject]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    gateway, ops = free_ports(2)
    with StubServer({}) as stub, StubServer({}, Reply(status=401)) as other:
        config = write_files(
            tmp_path_factory.mktemp("load"),
            loopback(gateway, ops),
            stub.url,
            policy=POLICY,
            authorization_servers={
                name: _server(other.url if name == "refusing" else stub.url, changes)
                for name, changes in SERVERS.items()
            },
            inactive_limit={"per_minute": PER_MINUTE, "burst": BURST},
        )
        with Service(config).ready(ops) as service:
            serving = Serving(service, stub, gateway, ops)
            for name in SERVERS:  # a self-check takes one of the slots that are counted here
                what = "failed" if name == "refusing" else "passed"
                wait_until(partial(serving.logged, f"self_check_{what}", name))
            yield serving


def _server(url: str, changes: Mapping[str, object]) -> dict[str, object]:
    batch = changes.get("batch")
    there = {"batch": {**batch, "endpoint": f"{url}/batch"}} if isinstance(batch, dict) and "endpoint" in batch else {}
    client = {"id": "gateway", "secret": {"env": "EXTAUTHZ_CLIENT_SECRET"}}
    return {"introspection_endpoint": url, "client": client, "timeout": "10s", **changes, **there}


def names(prefix: str, count: int) -> list[str]:
    """So many tokens."""
    return [f"{prefix}-{number}" for number in range(count)]


class TestOverload:
    """More questions than the server may be asked at once."""

    def test_those_that_find_no_room_are_answered_at_once(self, serving: Serving) -> None:
        """503, and the two that were asked are cut off at their deadline."""
        tokens = names("slow", 6)
        serving.stub.replies.update(dict.fromkeys(tokens, lambda: SLOW))
        answers = serving.ask_all("overload", tokens)
        assert sorted(answers) == [(503, "overloaded")] * 4 + [(503, "server_timeout")] * 2
        assert sum(serving.stub.calls[token] for token in tokens) == 2
        assert serving.metric("extauthz_happenings_total", what="overloaded", subject="overload") == 4

    def test_then_there_is_room_again(self, serving: Serving) -> None:
        """Nothing is left of it."""
        serving.stub.replies["good-later"] = active
        assert serving.ask("overload", "good-later") == (200, "allowed")


class TestCircuit:
    """A server that fails is left alone, and found again without a restart."""

    def test_it_opens_after_three_failures_and_closes_when_the_server_is_well(self, serving: Serving) -> None:
        """Meanwhile nobody waits for it, nor does it hear from us but once a pause."""
        serving.stub.replies["known"] = active
        assert serving.ask("circuit", "known") == (200, "allowed")
        tokens = names("broken", 30)
        serving.stub.replies.update(dict.fromkeys(tokens, lambda: BROKEN))
        started = time.monotonic()
        answers = [serving.ask("circuit", token) for token in tokens]
        pauses = time.monotonic() - started
        assert answers[:3] == [(503, "server_error")] * 3
        assert set(answers[3:]) <= {(503, "server_circuit_open"), (503, "server_error")}
        asked = sum(serving.stub.calls[token] for token in tokens)
        assert asked <= 3 + pauses
        assert serving.ask("circuit", "known") == (200, "allowed")
        serving.stub.replies["well"] = active
        wait_until(lambda: serving.ask("circuit", "well") == (200, "allowed"))
        assert serving.ask("circuit", "broken-0") == (503, "server_error")
        opened, closed = (
            serving.metric("extauthz_happenings_total", what=f"circuit_{what}", subject="circuit")
            for what in ("opened", "closed")
        )
        assert (opened, closed) == (1, 1)
        assert "asked again after a pause" in serving.logged("circuit_opened", "circuit")[0]["advice"]

    @pytest.mark.shows("S27", "S41")
    def test_no_answer_about_a_token_or_about_us_opens_it(self, serving: Serving) -> None:
        """Here three failures would do, and odd tokens come in hundreds."""
        for number, token in enumerate(names("odd", 200)):
            serving.stub.replies[token] = partial(ODD.__getitem__, number % len(ODD))
        reasons = {reason for _, reason in (serving.ask("odd", token) for token in names("odd", 200))}
        assert reasons == {"inactive", "server_answer_invalid", "server_refused_us"}
        serving.stub.replies["good"] = active
        assert serving.ask("odd", "good") == (200, "allowed")
        assert serving.metric("extauthz_happenings_total", what="circuit_opened", subject="odd") == 0


def test_trouble_that_passes_is_noticed_by_nobody(serving: Serving) -> None:
    """The question is repeated in time."""
    replies = iter([BROKEN, Reply(dropped=True), active()])
    serving.stub.replies["shaky"] = lambda: next(replies)
    assert serving.ask("retried", "shaky") == (200, "allowed")
    assert serving.metric("extauthz_happenings_total", what="retried", subject="retried") in {1, 2}


class TestBatches:
    """Many tokens in one question."""

    def test_tokens_that_come_together_are_asked_about_together(self, serving: Serving) -> None:
        """Each has its own answer, and the requests that were saved are counted."""
        good, bad = names("together", 20), names("apart", 10)
        serving.stub.replies.update(dict.fromkeys(good, active))
        before = serving.metric("extauthz_introspections_saved_total", by="batch")
        answers = dict(zip(good + bad, serving.ask_all("batch", good + bad), strict=True))
        assert {answers[token] for token in good} == {(200, "allowed")}
        assert {answers[token] for token in bad} == {(401, "inactive")}
        assert {serving.stub.calls[token] for token in good + bad} == {1}
        requests = serving.stub.batches[-30:]
        assert max(requests) <= 10
        assert serving.metric("extauthz_introspections_saved_total", by="batch") - before >= 15

    def test_a_server_without_an_endpoint_for_it_gets_single_questions(self, serving: Serving) -> None:
        """At the pace of the batches."""
        tokens = names("gathered", 20)
        serving.stub.replies.update(dict.fromkeys(tokens, active))
        assert set(serving.ask_all("gathered", tokens)) == {(200, "allowed")}
        assert {serving.stub.calls[token] for token in tokens} == {1}


def test_a_token_of_another_shape_is_not_asked_about(serving: Serving) -> None:
    """401 all the same."""
    serving.stub.replies.update({"tok_0123ab": active, "tok_012xyz": active})
    assert serving.ask("shaped", "tok_0123ab") == (200, "allowed")
    for token in ("tok_012xyz", "tok_01", "abc_0123ab", "reader"):
        assert serving.ask("shaped", token) == (401, "inactive")
        assert serving.stub.calls[token] == 0


@pytest.mark.shows("S40")
class TestGuessing:
    """Bad tokens of one address cost the server what is configured, and nobody else."""

    def test_a_flood_is_asked_about_at_the_configured_rate_while_good_tokens_pass(self, serving: Serving) -> None:
        """The guesser's own known token passes too, and so does everybody at other addresses."""
        serving.stub.replies.update({"mine": active, "theirs": active})
        assert serving.ask("plain", "mine", "192.0.2.1") == (200, "allowed")
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            junk = list(pool.map(lambda token: serving.ask("plain", token, "192.0.2.1"), names("junk", 300)))
        assert serving.ask("plain", "mine", "192.0.2.1") == (200, "allowed")
        assert serving.ask("plain", "theirs", "192.0.2.2") == (200, "allowed")
        allowed = BURST + 1 + (time.monotonic() - started) * PER_MINUTE / 60
        asked = sum(serving.stub.calls[token] for token in names("junk", 300))
        assert BURST <= asked <= allowed
        assert junk.count((401, "inactive")) == asked
        assert junk.count((429, "too_many_inactive")) == 300 - asked

    def test_it_is_the_same_through_envoys_protocol(self, serving: Serving) -> None:
        """429 with the time to wait; the address is the one that Envoy names."""
        with grpc.insecure_channel(f"127.0.0.1:{serving.gateway}") as channel:
            answers = [_check(channel, token, "2001:db8::1") for token in names("guess", BURST)]
            more = (_check(channel, token, "2001:db8::1").denied_response for token in names("guess-more", 60))
            limited = next(denied for denied in more if denied.status.code != 401)
            other = _check(channel, "guess-other", "2001:db8:0:1::1")
        assert [answer.denied_response.status.code for answer in answers] == [401] * BURST
        assert limited.status.code == 429
        headers = {option.header.key: option.header.value for option in limited.headers}
        assert headers["retry-after"] == "1"
        assert other.denied_response.status.code == 401


def _check(channel: grpc.Channel, token: str, address: str) -> CheckResponse:
    http = HttpRequest(
        method="GET", path="/plain", host="api.example.com", headers={"authorization": f"Bearer {token}"}
    )
    peer = Peer(address=Address(socket_address=SocketAddress(address=address)))
    attributes = AttributeContext(source=peer, request=Request(http=http))
    message = CheckRequest(attributes=attributes).SerializeToString()
    return CheckResponse.FromString(call(channel, CHECK_PATH, message))


@pytest.mark.shows("S31")
class TestSelfCheck:
    """At the start every server is asked about a token that nobody issued."""

    def test_a_server_that_calls_it_inactive_has_passed(self, serving: Serving) -> None:
        """Told once; its batch endpoint was tried as well."""
        for name in SERVERS.keys() - {"refusing"}:
            assert len(serving.logged("self_check_passed", name)) == 1

    def test_one_that_refuses_us_is_told_with_advice(self, serving: Serving) -> None:
        """The service was ready all the same."""
        (line,) = serving.logged("self_check_failed", "refusing")
        assert line["level"] == "error"
        assert line["detail"].startswith("server_refused_us: status 401")
        assert "client id, secret" in line["advice"]
