"""`extauthz serve` as a real process: how it starts, how it refuses to, and how it ends."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448

import cases
from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, CheckResponse, HttpRequest, Request
from extauthz.cli.processes import free_ports, port_in_use
from extauthz.wire.envoy.service import AUTHORIZATION, CHECK_PATH, HEALTH_PATH
from support.certificates import Authority
from support.serving import Service, ask, call, get, loopback, status, wait_until, write_files
from support.stub_server import Reply, StubServer, active

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer(dict(cases.ANSWERS)) as server:
        yield server


@pytest.fixture
def ports() -> tuple[int, int, int]:
    gateway, ops, own = free_ports(3)
    return gateway, ops, own


def listen_on(gateway: int, ops: int, own: int | None = None) -> dict[str, str]:
    listen = loopback(gateway, ops)
    return listen if own is None else listen | {"grpc": f"127.0.0.1:{own}"}


def call_at(target: str, path: str, message: bytes) -> bytes:
    with grpc.insecure_channel(target) as channel:
        return call(channel, path, message)


def check(target: str, token: str = "reader") -> int:
    """The status code of a gRPC check; 0 is an allow."""
    http = HttpRequest(
        method="GET", path="/orders", host="api.example.com", headers={"authorization": f"Bearer {token}"}
    )
    message = CheckRequest(attributes=AttributeContext(request=Request(http=http))).SerializeToString()
    return CheckResponse.FromString(call_at(target, CHECK_PATH, message)).status.code


@pytest.mark.shows("E74")
def test_faults_of_both_files_are_told_with_file_and_line(
    tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
) -> None:
    """One attempt shows them all; the exit status is 2, and nothing was started."""
    policy = cases.POLICY.replace("path: /me,", "pth: /me,", 1)
    config = write_files(tmp_path, listen_on(*ports[:2]), server.url, policy=policy, drain_delay="soon")
    with Service(config) as service:
        while service.running:
            assert not any(map(port_in_use, ports))
            time.sleep(0.05)
        assert (service.wait(), service.stdout) == (2, "")
    said = service.stderr
    place = 1 + config.read_text().split("drain_delay")[0].count("\n")
    assert re.search(rf"^{config}:{place}:\d+: .*duration", said, re.MULTILINE)
    line = 1 + policy.split("pth:")[0].count("\n")
    assert re.search(rf"^{tmp_path}/policy.yaml:{line}:\d+: .*'path'", said, re.MULTILINE)
    assert "Traceback" not in said


class TestTakenAddress:
    """Exit status 1 and one sentence with the address."""

    @pytest.mark.shows("E73")
    def test_a_taken_port_is_named(self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]) -> None:
        """The listener that was open already is closed again, and its file does not stay behind."""
        path, ops = tmp_path / "gateway.sock", ports[1]
        config = write_files(tmp_path, {"gateway": f"unix:{path}", "ops": f"127.0.0.1:{ops}"}, server.url)
        with socket.create_server(("127.0.0.1", ops)), Service(config) as service:
            assert service.wait() == 1
            assert f"cannot listen on 127.0.0.1:{ops}: " in service.stderr
            assert "Traceback" not in service.stderr
            assert service.stdout == ""
        assert not path.exists()

    def test_a_key_that_the_server_cannot_use_ends_it(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """OpenSSL reads an Ed448 key, the server of the gateway listener does not; the other listener ends with it."""
        pair = Authority(tmp_path).issue("extauthz", key=ed448.Ed448PrivateKey.generate())
        tls = {"certificate": pair.certificate.name, "key": pair.key.name}
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url, tls=tls)
        with Service(config) as service:
            assert service.wait() == 1
            assert "private key" in service.stderr
            assert "Traceback" not in service.stderr

    def test_a_port_that_workers_cannot_have_is_named_too(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """A start that can never succeed is not tried again for ever."""
        config = write_files(tmp_path, listen_on(*ports), server.url, grpc_server="grpcio")
        with socket.create_server(("127.0.0.1", ports[2])), Service(config, "--workers", "2") as service:
            assert service.wait() == 1
            assert f"cannot listen on 127.0.0.1:{ports[2]}: " in service.stderr

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_record_that_cannot_be_begun_is_named_too(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int], workers: str
    ) -> None:
        """With the key of the file and what to do."""
        path = tmp_path / "no" / "audit.jsonl"
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url, audit={"path": str(path)})
        with Service(config, "--workers", workers) as service:
            assert service.wait() == 1
            assert f"cannot write to {path}, the path of audit: " in service.stderr
            assert "make its folder first" in service.stderr
            assert "Traceback" not in service.stderr


class TestDrain:
    """SIGTERM: say no more, go on answering for a while, end."""

    @pytest.mark.shows("E67", "E69")
    def test_requests_are_answered_while_gateways_are_told(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """`/readyz` and gRPC health say no; requests, new connections too, are served until the end."""
        (gateway, ops, _), delay = ports, 6
        config = write_files(tmp_path, listen_on(gateway, ops), server.url, drain_delay=f"{delay}s")
        with Service(config).ready(ops) as service:
            assert call_at(f"127.0.0.1:{gateway}", HEALTH_PATH, b"") == SERVING
            told = time.monotonic()
            service.send(signal.SIGTERM)
            wait_until(lambda: status(ops, "/readyz") == 503)
            assert call_at(f"127.0.0.1:{gateway}", HEALTH_PATH, b"") == NOT_SERVING
            while time.monotonic() - told < delay / 3:
                assert (ask(gateway), check(f"127.0.0.1:{gateway}")) == (200, 0)
                assert (status(ops, "/livez"), status(ops, "/readyz")) == (200, 503)
            assert service.wait() == 0
            assert time.monotonic() - told >= delay
        assert not any(map(port_in_use, ports))

    def test_a_terminals_ctrl_c_is_no_error(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """And without a delay there is nothing to wait for."""
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url)
        with Service(config).ready(ports[1]) as service:
            service.send(signal.SIGINT)
            assert service.wait() == 0
            assert "Traceback" not in service.stderr

    def test_a_second_signal_cuts_the_delay_short(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """For whoever does not want to wait."""
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url, drain_delay="60s")
        with Service(config).ready(ports[1]) as service:
            service.send(signal.SIGTERM)
            wait_until(lambda: status(ports[1], "/readyz") == 503)
            service.send(signal.SIGTERM)
            assert service.wait() == 0

    def test_a_request_in_flight_is_answered(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """Also when the delay is over before the authorization server has answered."""
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url)
        told = threading.Event()

        def late() -> Reply:
            told.wait(30)
            time.sleep(1.0)  # the service has time to end too early
            return active()

        server.replies["late"] = late
        with Service(config).ready(ports[1]) as service:
            answers: list[int] = []
            request = threading.Thread(target=lambda: answers.append(ask(ports[0], "late")))
            request.start()
            wait_until(lambda: server.calls["late"])
            service.send(signal.SIGTERM)
            told.set()
            request.join(30)
            assert answers == [200]
            assert service.wait() == 0


class TestReload:
    """SIGHUP: the policy is read again, and is in force whole or not at all."""

    @pytest.fixture
    def started(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> Iterator[tuple[Service, Path, tuple[int, int, int]]]:
        config = write_files(tmp_path, listen_on(*ports[:2]), server.url, reload={"watch": False})
        with Service(config).ready(ports[1]) as service:
            assert ask(ports[0]) == 200
            yield service, config, ports

    @pytest.mark.shows("E74")
    def test_a_new_policy_takes_effect_without_a_restart(
        self, started: tuple[Service, Path, tuple[int, int, int]]
    ) -> None:
        """For the next request; what is known of tokens is still known."""
        service, config, (gateway, ops, _) = started
        policy = config.with_name("policy.yaml")
        policy.write_text(policy.read_text().replace("scopes: [orders:read]", "scopes: [orders:other]"))
        service.send(signal.SIGHUP)
        wait_until(lambda: ask(gateway) == 403)
        wait_until(lambda: "generation 2" in service.stderr)  # told when the old policy is gone
        assert 'extauthz_happenings_total{subject="policy",what="policy_reloaded"} 1.0' in get(ops, "/metrics").text

    @pytest.mark.shows("E74")
    def test_a_bad_file_beside_it_changes_nothing_and_is_told(
        self, started: tuple[Service, Path, tuple[int, int, int]]
    ) -> None:
        """With its faults: a new policy is not for old settings."""
        service, config, (gateway, ops, _) = started
        policy = config.with_name("policy.yaml")
        policy.write_text(policy.read_text().replace("scopes: [orders:read]", "scopes: [orders:other]"))
        config.write_text(config.read_text().replace("drain_delay: 0s", "drain_delay: soon"))
        service.send(signal.SIGHUP)
        wait_until(lambda: "policy_refused" in service.stderr)
        assert ask(gateway) == 200
        assert f"{config}:" in service.stderr
        assert 'extauthz_happenings_total{subject="policy",what="policy_refused"} 1.0' in get(ops, "/metrics").text
        assert status(ops, "/readyz") == 200


class TestGrpcio:
    """The second gRPC server has a port of its own."""

    @pytest.mark.shows("E67")
    def test_it_serves_check_and_health_there(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """HTTP stays on the gateway's port; the drain is told on both."""
        gateway, ops, own = ports
        config = write_files(
            tmp_path, listen_on(gateway, ops, own), server.url, grpc_server="grpcio", drain_delay="60s"
        )
        target = f"127.0.0.1:{own}"
        with Service(config).ready(ops) as service:
            assert (check(target), check(target, "unknown"), ask(gateway)) == (0, 16, 200)
            assert call_at(target, HEALTH_PATH, b"") == SERVING
            assert (
                call_at(target, HEALTH_PATH, b"\x0a" + bytes([len(AUTHORIZATION)]) + AUTHORIZATION.encode()) == SERVING
            )
            with pytest.raises(grpc.RpcError) as failed:
                call_at(target, HEALTH_PATH, b"\x0a\x05other")
            assert failed.value.code() is grpc.StatusCode.NOT_FOUND
            service.send(signal.SIGTERM)
            wait_until(lambda: call_at(target, HEALTH_PATH, b"") == NOT_SERVING)
            assert check(target) == 0
            service.send(signal.SIGTERM)  # enough
            assert service.wait() == 0


@pytest.mark.shows("E72")
def test_both_protocols_are_served_on_a_socket_file(
    tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
) -> None:
    """One that a killed process left is replaced, ours goes away; a peer without an address is trusted: it reached the file."""
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    config = write_files(tmp_path, {"gateway": f"unix:{path}", "ops": f"127.0.0.1:{ports[1]}"}, server.url)
    with Service(config).ready(ports[1]) as service:
        assert (ask(path), ask(path, "unknown")) == (200, 401)
        assert (check(f"unix:{path}"), check(f"unix:{path}", "unknown")) == (0, 16)
        service.send(signal.SIGTERM)
        assert service.wait() == 0
    assert not path.exists()


class TestSlowReader:
    """Nobody reads the audit lines on standard output."""

    def test_requests_are_answered_and_the_end_comes_all_the_same(
        self, tmp_path: Path, server: StubServer, ports: tuple[int, int, int]
    ) -> None:
        """Lines are lost, and counted; nothing else is."""
        gateway, ops, _ = ports
        config = write_files(tmp_path, listen_on(gateway, ops), server.url, audit={"path": "stdout"})
        reading, writing = os.pipe()
        try:
            with Service(config, stdout=writing).ready(ops) as service:
                assert {ask(gateway) for _ in range(600)} == {200}
                service.send(signal.SIGTERM)
                assert service.wait() == 0
                assert "Fatal Python error" not in service.stderr
        finally:
            os.close(writing)
            os.close(reading)
