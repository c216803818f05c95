"""`extauthz policy explain` against a running extauthz: the same question, the same answer, octet for octet."""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from cases import ANSWERS
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest, CheckResponse
from extauthz.cli.policy import policy
from extauthz.wire.envoy.service import CHECK_PATH
from support.http1 import TIMEOUT_SECONDS
from support.running import Running, running
from support.stub_server import SECRET, StubServer

HOST = "api.example.com"
ASKED = {
    "no token": ("GET", "/orders/1", ""),
    "allowed": ("GET", "/orders/1", "reader"),
    "a scope is missing": ("POST", "/orders", "reader"),
    "inactive": ("GET", "/orders/1", "unknown-to-all"),
    "no route": ("DELETE", "/orders/1", "reader"),
    "ambiguous path": ("GET", "/orders/../1", "reader"),
    "public": ("GET", "/healthz", ""),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One extauthz with all doors."""
    folder = tmp_path_factory.mktemp("explain")
    with StubServer(ANSWERS) as stub, running(folder, introspection=stub.url) as service:
        yield service


@pytest.mark.parametrize("case", ASKED)
def test_each_door_answers_what_was_explained(case: str, service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over gRPC but for the decision's id, and the order of the metadata, which protobuf leaves open."""
    monkeypatch.setenv("EXTAUTHZ_CLIENT_SECRET", SECRET)
    method, target, token = ASKED[case]
    explained = _explained(service.folder / "extauthz.yaml", method, target, token)
    asked = {
        "nginx": (
            "GET",
            "/nginx",
            [("X-Original-Method", method), ("X-Original-URI", target), ("X-Original-Host", HOST)],
        ),
        "gateway-api": ("GET", "/gateway-api", [("Method", method), ("Path", target), ("Host", HOST)]),
        "forward-auth": (
            "GET",
            "/forward-auth",
            [("X-Forwarded-Method", method), ("X-Forwarded-Uri", target), ("X-Forwarded-Host", HOST)],
        ),
        "envoy": (method, f"/envoy{target}", [("Host", HOST)]),
    }
    for door, (sent, path, lines) in asked.items():
        assert _octets(service.gateway, sent, path, [*lines, *_authorization(token)]) == explained[door], door
    assert _parted(_over_grpc(service.grpc, method, target, token)) == _parted(explained["grpc"])


def test_an_outage_that_the_gateway_decides_is_explained_as_the_door_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `on_outage: gateway` it is no denial over gRPC, and the first lines say so; a denial stays one."""
    monkeypatch.setenv("EXTAUTHZ_CLIENT_SECRET", SECRET)
    with (
        StubServer(ANSWERS) as stub,
        running(tmp_path, introspection=stub.url, extra="on_outage: gateway") as service,
    ):
        config = service.folder / "extauthz.yaml"
        for token, kind in (("status-500", "error_response"), ("unknown-to-all", "denied_response")):
            said = _over_grpc(service.grpc, "GET", "/orders/1", token)
            assert CheckResponse.FromString(said).WhichOneof("http_response") == kind
            assert _parted(_explained(config, "GET", "/orders/1", token)["grpc"]) == _parted(said)
        told = _run(config, "GET", "/orders/1", "status-500", "--brief")
        assert "failure mode decides, not this denial (on_outage: gateway)" in told
        assert "on_outage" not in _run(config, "GET", "/orders/1", "unknown-to-all", "--brief")


def _parted(message: bytes) -> tuple[bytes, Mapping[str, object]]:
    """The octets before the metadata, which stands last, and the metadata without the decision's id."""
    whole = CheckResponse.FromString(message)
    metadata = {name: value for name, value in whole.dynamic_metadata.items() if name != "decision_id"}
    rest = _without_metadata(whole)
    assert message.startswith(rest)
    return rest, metadata


def _without_metadata(whole: CheckResponse) -> bytes:
    bare = CheckResponse()
    bare.CopyFrom(whole)
    bare.ClearField("dynamic_metadata")
    return bare.SerializeToString()


def _explained(config: Path, method: str, target: str, token: str) -> dict[str, bytes]:
    answers = json.loads(_run(config, method, target, token, "--json"))["answers"]
    return {door: bytes.fromhex(each["octets"]) for each in answers for door in each["doors"]}


def _run(config: Path, method: str, target: str, token: str, *options: str) -> str:
    about = ("--token", "-") if token else ()
    arguments = ("explain", method, f"https://{HOST}{target}", "--config", str(config), *options, *about)
    result = CliRunner().invoke(policy, arguments, input=token)
    assert result.exit_code == 0, result.output
    return result.stdout


def _authorization(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")] if token else []


def _octets(port: int, method: str, target: str, lines: list[tuple[str, str]]) -> bytes:
    named = {name for name, _ in lines}
    lines = lines if "Host" in named else [("Host", "127.0.0.1"), *lines]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        with connection.makefile("rb") as stream:
            answer = b"".join(iter(stream.readline, b"\r\n")) + b"\r\n"
            length = re.search(rb"content-length: (\d+)", answer)
            return answer + stream.read(int(length[1]) if length else 0)


def _over_grpc(port: int, method: str, target: str, token: str) -> bytes:
    request = CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.host = method, target, HOST
    for name, value in _authorization(token):
        http.headers[name.lower()] = value
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
        return call(request.SerializeToString(), timeout=TIMEOUT_SECONDS)
