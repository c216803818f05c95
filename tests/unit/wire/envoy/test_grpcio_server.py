"""The second gRPC server over real connections: the same services, and addresses that cannot be had."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc import aio

from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.grpcio_server import create_server
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, MAX_MESSAGE_BYTES

DEADLINE_SECONDS = 30.0
V2 = "/envoy.service.auth.v2.Authorization/Check"
TOO_LARGE = b"x" * (MAX_MESSAGE_BYTES + 1)


async def check(message: bytes, _deadline: float | None, _trace: str) -> bytes | None:
    """Echo."""
    return b"checked " + message[:10]


async def health(message: bytes, _deadline: float | None, _trace: str) -> bytes | None:
    """Know the empty name only."""
    return None if message else b"\x08\x01"


def bind(address: str, *, share_port: bool = False) -> aio.Server:
    return create_server(check, health, address=address, share_port=share_port)


@asynccontextmanager
async def running(address: str) -> AsyncIterator[aio.Channel]:
    server = bind(address)
    await server.start()
    try:
        async with aio.insecure_channel(address) as channel:
            yield channel
    finally:
        await server.stop(None)


@pytest.fixture
def address() -> str:
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


async def call(channel: aio.Channel, path: str, message: bytes) -> bytes:
    method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    answer: bytes = await method(message, timeout=DEADLINE_SECONDS, wait_for_ready=True)
    return answer


async def code(channel: aio.Channel, path: str, message: bytes) -> grpc.StatusCode:
    with pytest.raises(aio.AioRpcError) as failed:
        await call(channel, path, message)
    return failed.value.code()


class TestServing:
    """Bytes in, bytes out."""

    @pytest.mark.parametrize(
        ("path", "message", "answer"), [(CHECK_PATH, b"x", b"checked x"), (HEALTH_PATH, b"", b"\x08\x01")]
    )
    async def test_both_services_answer(self, address: str, path: str, message: bytes, answer: bytes) -> None:
        """On one port."""
        async with running(address) as channel:
            assert await call(channel, path, message) == answer

    @pytest.mark.parametrize(
        ("path", "message", "expected"),
        [
            pytest.param(HEALTH_PATH, b"\x0a\x01x", grpc.StatusCode.NOT_FOUND, marks=pytest.mark.shows("E67")),
            pytest.param(V2, b"", grpc.StatusCode.UNIMPLEMENTED, marks=pytest.mark.shows("E59")),
            ("/envoy.service.auth.v3.Authorization/Other", b"", grpc.StatusCode.UNIMPLEMENTED),
            pytest.param(CHECK_PATH, TOO_LARGE, grpc.StatusCode.RESOURCE_EXHAUSTED, marks=pytest.mark.shows("E58")),
        ],
        ids=["unknown name", "old version", "other method", "too large"],
    )
    async def test_what_is_not_served_has_a_status(
        self, address: str, path: str, message: bytes, expected: grpc.StatusCode
    ) -> None:
        """Names, methods and sizes."""
        async with running(address) as channel:
            assert await code(channel, path, message) is expected

    async def test_the_largest_message_is_served(self, address: str) -> None:
        """The limit is the one of the other server."""
        async with running(address) as channel:
            assert await call(channel, CHECK_PATH, b"x" * MAX_MESSAGE_BYTES) == b"checked xxxxxxxxxx"

    async def test_a_unix_socket_works(self, tmp_path: Path) -> None:
        """For a gateway on the same machine."""
        async with running(f"unix:{tmp_path / 'grpc.sock'}") as channel:
            assert await call(channel, CHECK_PATH, b"x") == b"checked x"


class TestAddress:
    """One that cannot be had is an error at the start, never a server that nobody reaches."""

    async def test_a_taken_port_is_an_error_that_names_it(self, address: str) -> None:
        """Somebody else's listener."""
        port = int(address.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match=address):
            bind(address)

    @pytest.mark.shows("E73")
    async def test_a_second_server_of_ours_is_refused(self, address: str) -> None:
        """Two services on one port would share the requests between them at random."""
        async with running(address):
            with pytest.raises(OSError, match=address):
                bind(address)

    async def test_a_socket_that_somebody_listens_on_is_not_taken_away(self, tmp_path: Path) -> None:
        """The other service would look well and hear nothing."""
        address = f"unix:{tmp_path / 'grpc.sock'}"
        async with running(address):
            with pytest.raises(OSError, match="cannot listen"):
                bind(address)

    @pytest.mark.shows("E72")
    async def test_a_file_of_another_kind_is_left_alone(self, tmp_path: Path) -> None:
        """And is an error."""
        file = tmp_path / "precious"
        file.write_text("data")
        with pytest.raises(OSError, match="cannot listen"):
            bind(f"unix:{file}")
        assert file.read_text() == "data"

    async def test_workers_of_one_service_share_it(self, address: str) -> None:
        """When they are told to."""
        servers = [bind(address, share_port=True) for _ in range(2)]
        for server in servers:
            await server.start()
        try:
            async with aio.insecure_channel(address) as channel:
                assert await call(channel, CHECK_PATH, b"x") == b"checked x"
        finally:
            for server in servers:
                await server.stop(None)

    @pytest.mark.parametrize("name", ["no/such/folder/grpc.sock", "x" * 120], ids=["no folder", "too long"])
    async def test_a_socket_file_that_cannot_be_made_is_an_error(self, tmp_path: Path, name: str) -> None:
        """As with ports."""
        address = f"unix:{tmp_path / name}"
        with pytest.raises(OSError, match="cannot listen"):
            bind(address)

    @pytest.mark.parametrize("address", ["192.0.2.1:28000", "127.0.0.1:1x"], ids=["not ours", "not a port"])
    async def test_an_address_that_is_not_ours_is_an_error(self, address: str) -> None:
        """RFC 5737 keeps 192.0.2.0/24 for examples."""
        with pytest.raises(OSError, match="cannot listen"):
            bind(address)
