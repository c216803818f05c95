"""A peer is known by the names in its certificate, and by nothing else about it."""

from pathlib import Path
from typing import Any

import pytest

from extauthz.wire.asgi import Message, Receive, Scope, Send, respond
from extauthz.wire.known_peers import KnownPeers, subject_alternative_names
from support.certificates import Authority

GRPC = [(b"content-type", b"application/grpc")]


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> str:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    return authority.issue("not-a-name", hosts=["envoy.example.com", "10.0.0.1"]).certificate.read_text()


async def served(*names: str, chain: tuple[str, ...] | None, headers: list[tuple[bytes, bytes]] | None = None) -> str:
    """What the peer gets: `passed`, or how it was refused."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, 299, [])

    async def receive() -> Message:
        raise AssertionError("nothing is read from a stranger")

    async def send(message: Message) -> None:
        sent.append(message)

    tls: dict[str, Any] = {} if chain is None else {"extensions": {"tls": {"client_cert_chain": chain}}}
    await KnownPeers(app, names)({"type": "http", "headers": headers or [], **tls}, receive, send)
    start = sent[0]
    grpc_status = dict(start["headers"]).get(b"grpc-status", b"").decode()
    return {299: "passed"}.get(start["status"], f"{start['status']} {grpc_status}".strip())


async def test_a_name_on_the_list_passes(envoy: str) -> None:
    assert await served("other", "envoy.example.com", chain=(envoy,)) == "passed"


@pytest.mark.parametrize(
    "names", [("other",), ("not-a-name",), ("example.com",), ("ENVOY.example.com",), ("10.0.0.1",)]
)
async def test_a_name_off_the_list_is_refused(envoy: str, names: tuple[str, ...]) -> None:
    """The common name is no name, a part of one is none, and an address is none."""
    assert await served(*names, chain=(envoy,)) == "403"
    assert await served(*names, chain=(envoy,), headers=GRPC) == "200 7"


@pytest.mark.parametrize("chain", [(), None])
async def test_no_certificate_is_no_name(chain: tuple[str, ...] | None) -> None:
    assert await served("envoy.example.com", chain=chain) == "403"


async def test_who_signed_is_not_asked(envoy: str, tmp_path: Path) -> None:
    """The names of the peer's own certificate count, not those further up."""
    stranger = Authority(tmp_path).issue("x", hosts=["stranger"]).certificate.read_text()
    assert await served("envoy.example.com", chain=(stranger, envoy)) == "403"


def test_a_certificate_without_names_has_none(tmp_path: Path) -> None:
    assert subject_alternative_names(Authority(tmp_path).path.read_text()) == frozenset()
