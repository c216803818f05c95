"""The gateway listener over TLS: who cannot show the right certificate is refused before anything is decided."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import httpx
import pytest

from cases import ANSWERS
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest, CheckResponse
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH
from support.certificates import Authority, KeyPair
from support.running import Running, running
from support.serving import get, metadata
from support.stub_server import StubServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A service, who signs, and what it signed."""

    service: Running
    authority: Authority
    envoy: KeyPair
    other: KeyPair
    stranger: KeyPair


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tls")
    authority, elsewhere = Authority(folder), Authority(folder, "somebody else")
    own = authority.issue("extauthz")
    tls = f"{{certificate: {own.certificate.name}, key: {own.key.name}, client_ca: {authority.path.name}"
    (port,) = free_ports(1)
    with (
        StubServer(port, ANSWERS) as stub,
        running(folder, introspection=stub.url, extra=f"tls: {tls}, client_names: [envoy.example.com]}}") as service,
    ):
        yield Scene(
            service=service,
            authority=authority,
            envoy=authority.issue("envoy", hosts=["envoy.example.com"]),
            other=authority.issue("other", hosts=["other.example.com"]),
            stranger=elsewhere.issue("stranger", hosts=["envoy.example.com"]),
        )


def decisions(scene: Scene) -> float:
    page = get(scene.service.ops, "/metrics").text
    counted = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith("extauthz_decisions_total{")]
    return sum(map(float, counted))


def ask(scene: Scene, client: KeyPair | None) -> int:
    context = ssl.create_default_context(cafile=str(scene.authority.path))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    headers = [*metadata("/orders/1"), ("Authorization", "Bearer reader")]
    with httpx.Client(verify=context, trust_env=False) as http:
        return http.get(f"https://127.0.0.1:{scene.service.gateway}/nginx", headers=headers).status_code


def check(scene: Scene, client: KeyPair) -> CheckResponse:
    credentials = grpc.ssl_channel_credentials(
        scene.authority.path.read_bytes(), client.key.read_bytes(), client.certificate.read_bytes()
    )
    question = CheckRequest()
    question.attributes.request.http.method = "GET"
    question.attributes.request.http.path = "/orders/1"
    question.attributes.request.http.host = "api.example.com"
    question.attributes.request.http.headers["authorization"] = "Bearer reader"
    with grpc.secure_channel(f"127.0.0.1:{scene.service.gateway}", credentials) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
        return CheckResponse.FromString(call(question.SerializeToString(), timeout=10))


def test_a_known_gateway_is_answered(scene: Scene) -> None:
    """Over HTTP and over gRPC, on the same address."""
    assert ask(scene, scene.envoy) == 200
    assert check(scene, scene.envoy).status.code == 0


@pytest.mark.shows("E60")
def test_nobody_else_is(scene: Scene) -> None:
    """No certificate, somebody else's signature, or a name off the list: nothing is decided."""
    before = decisions(scene)
    for client in (None, scene.stranger):
        with pytest.raises(httpx.TransportError):
            ask(scene, client)
    assert ask(scene, scene.other) == 403
    with pytest.raises(grpc.RpcError) as refused:
        check(scene, scene.other)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert decisions(scene) == before


def test_plain_text_is_not_spoken_there(scene: Scene) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{scene.service.gateway}/nginx", timeout=5)
