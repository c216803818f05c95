"""The gateway listener over TLS: who cannot show the right certificate is refused before anything is decided."""

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import httpx
import pytest

from cases import ANSWERS
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest, CheckResponse
from extauthz.keyfiles import read_validity
from extauthz.wire.envoy.service import CHECK_PATH
from support.certificates import Authority, KeyPair
from support.load import under_load
from support.running import Running, running
from support.serving import get, metadata, wait_until
from support.stub_server import StubServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A service, who signs, and what it signed."""

    service: Running
    authority: Authority
    own: KeyPair
    envoy: KeyPair
    other: KeyPair
    stranger: KeyPair


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tls")
    authority, elsewhere = Authority(folder), Authority(folder, "somebody else")
    own = authority.issue("extauthz")
    tls = f"{{certificate: {own.certificate.name}, key: {own.key.name}, client_ca: {authority.path.name}"
    with (
        StubServer(ANSWERS) as stub,
        running(folder, introspection=stub.url, extra=f"tls: {tls}, client_names: [envoy.example.com]}}") as service,
    ):
        yield Scene(
            service=service,
            authority=authority,
            own=own,
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
    with httpx.Client(verify=context, trust_env=False, timeout=30) as http:
        return http.get(f"https://127.0.0.1:{scene.service.gateway}/nginx", headers=headers).status_code


def ask_again_if_hung_up(scene: Scene) -> int:
    """As every gateway does: a connection without a request may be closed at any time (RFC 9112 §9.3.1)."""
    try:
        return ask(scene, scene.envoy)
    except httpx.RemoteProtocolError:
        return ask(scene, scene.envoy)


def check(scene: Scene, client: KeyPair) -> CheckResponse:
    with channel_of(scene, client) as channel:
        return check_on(channel)


def channel_of(scene: Scene, client: KeyPair) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        scene.authority.path.read_bytes(), client.key.read_bytes(), client.certificate.read_bytes()
    )
    return grpc.secure_channel(f"127.0.0.1:{scene.service.gateway}", credentials)


def check_on(channel: grpc.Channel) -> CheckResponse:
    question = CheckRequest()
    question.attributes.request.http.method = "GET"
    question.attributes.request.http.path = "/orders/1"
    question.attributes.request.http.host = "api.example.com"
    question.attributes.request.http.headers["authorization"] = "Bearer reader"
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
    return CheckResponse.FromString(call(question.SerializeToString(), timeout=30))


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
        httpx.get(f"http://127.0.0.1:{scene.service.gateway}/nginx", timeout=30)


def shown(scene: Scene) -> bytes:
    """The certificate that the listener shows now."""
    context = ssl.create_default_context(cafile=str(scene.authority.path))
    context.load_cert_chain(scene.envoy.certificate, scene.envoy.key)
    with (
        socket.create_connection(("127.0.0.1", scene.service.gateway), 30) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


class OneChannel:
    """A gateway that keeps its connection."""

    def __init__(self, scene: Scene) -> None:
        self._channel = channel_of(scene, scene.envoy)

    def __enter__(self) -> Callable[[], int]:
        return lambda: check_on(self._channel).status.code

    def __exit__(self, *_: object) -> None:
        self._channel.close()


def test_new_certificates_are_shown_without_a_restart(scene: Scene) -> None:
    """As soon as they stand in their files; no request is lost, on new connections or on one that was open before."""
    before = shown(scene)
    with OneChannel(scene) as over_one, under_load(lambda: ask_again_if_hung_up(scene), over_one) as seen:
        seen.wait_for(10)
        scene.authority.issue("extauthz")  # into the same files
        wait_until(lambda: shown(scene) != before)
        seen.phase = "after"
        seen.wait_for(10)
    assert {answer for phase in seen.answers.values() for answer in phase} == {200, 0}
    wait_until(lambda: "secret_reloaded" in scene.service.process.output())


def told_end(scene: Scene) -> float | None:
    """When the certificate that the listener shows ends, as the metrics have it."""
    told = 'extauthz_certificate_not_after_timestamp_seconds{server="",use="listener"} '
    lines = [line for line in get(scene.service.ops, "/metrics").text.splitlines() if line.startswith(told)]
    return float(lines[0].removeprefix(told)) if lines else None


def test_an_expired_certificate_is_shown_and_told(scene: Scene) -> None:
    """Its end is a metric that follows the file, and the log names the file and the date."""
    good = read_validity(scene.own.certificate).ends
    wait_until(lambda: told_end(scene) == good)
    scene.authority.issue("extauthz", expired=True)
    expired = read_validity(scene.own.certificate).ends
    wait_until(lambda: told_end(scene) == expired)
    wait_until(lambda: f"{scene.own.certificate}: it ended on " in scene.service.process.output())
    assert "certificate_not_valid" in scene.service.process.output()
    scene.authority.issue("extauthz")
    wait_until(lambda: told_end(scene) == read_validity(scene.own.certificate).ends)


def test_certificates_that_fit_no_key_change_nothing(scene: Scene) -> None:
    """The operator is told, and the next ones that do fit are shown."""
    before, key = shown(scene), scene.own.key.read_bytes()
    scene.own.key.write_bytes(scene.other.key.read_bytes())
    wait_until(lambda: "not a pair" in scene.service.process.output())
    assert shown(scene) == before
    assert ask(scene, scene.envoy) == 200
    scene.own.key.write_bytes(key)
    scene.authority.issue("extauthz")
    wait_until(lambda: shown(scene) != before)
