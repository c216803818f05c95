"""The record of a real service: complete while its file is renamed, and what happens when it cannot be written."""

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

import cases
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest, CheckResponse
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH
from support.serving import Service, ask, call, get, loopback, metadata, wait_until, write_files
from support.stub_server import StubServer


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer(cases.ANSWERS) as server:
        yield server


def message() -> bytes:
    question = CheckRequest()
    http = question.attributes.request.http
    http.method, http.path, http.host = "GET", "/orders", "api.example.com"
    http.headers["authorization"] = "Bearer reader"
    return question.SerializeToString()


def test_no_decision_is_missing_however_often_the_file_is_renamed(tmp_path: Path, server: StubServer) -> None:
    """By two workers that find it full, and by somebody else; each is there once, with what it was about."""
    gateway, ops = free_ports(2)
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "audit.jsonl"
    audit = {"path": str(path), "rotate": {"size": "64KiB", "keep": 1000}}
    config = write_files(tmp_path, loopback(gateway, ops), server.url, audit=audit)
    question = message()
    with Service(config, "--workers", "2").ready(ops) as service:
        for number in range(8):  # each channel is a connection, and so may be another worker's
            with grpc.insecure_channel(
                f"127.0.0.1:{gateway}", options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                for _ in range(100):
                    call(channel, CHECK_PATH, question)
            with suppress(FileNotFoundError):  # a worker that found it full was faster
                path.rename(logs / f"elsewhere.{number}")
        service.send(signal.SIGTERM)
        service.wait()
    lines = [json.loads(line) for file in logs.iterdir() for line in file.read_bytes().splitlines()]
    assert len(lines) == len({line["decision_id"] for line in lines}) == 800
    assert {tuple(line["needed"]) for line in lines} == {("orders:read",)}
    assert {line["scope"] for line in lines} == {"orders:read"}
    asked = [line for line in lines if "introspection_us" in line]
    assert {line["level"] for line in asked} == {"server"}
    assert all(0 < line["introspection_us"] <= line["took_us"] for line in asked)


@pytest.mark.parametrize("on_loss", ["deny", "count"])
def test_a_full_disk_denies_or_is_counted(tmp_path: Path, server: StubServer, on_loss: str) -> None:
    """/dev/full has no room for a single byte. Through both doors, without waiting, and without a hang at the end."""
    gateway, ops = free_ports(2)
    audit = {"path": "/dev/full", "on_loss": on_loss}
    config = write_files(tmp_path, loopback(gateway, ops), server.url, audit=audit, on_outage="gateway")
    with Service(config).ready(ops) as service:
        ask(gateway)
        wait_until(lambda: "audit_failed" in service.stderr)
        answer = get(gateway, "/nginx", [*metadata(), ("Authorization", "Bearer reader")])
        reason = dict(answer.headers)["x-authz-reason"]
        with grpc.insecure_channel(f"127.0.0.1:{gateway}") as channel:
            response = CheckResponse.FromString(call(channel, CHECK_PATH, message()))
        if on_loss == "deny":
            assert (answer.status, reason) == (500, "audit_unavailable")
            assert response.denied_response.status.code == 503
        else:
            assert (answer.status, reason) == (200, "allowed")
            assert response.status.code == 0
        failed = 'extauthz_happenings_total{subject="audit",what="audit_failed"} 1.0'
        wait_until(lambda: failed in get(ops, "/metrics").text)
        service.send(signal.SIGTERM)
        assert service.wait() == 0
    assert "decisions are not in the record" in service.stderr
