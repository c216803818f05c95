"""Listening sockets: opened once, with a clear sentence when they cannot be, and nothing left behind."""

import grp
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from extauthz.cli.listeners import listen, release
from extauthz.cli.processes import free_ports
from extauthz.config.service_schema import Socket
from extauthz.config.values import Address


@pytest.fixture
def tcp() -> Address:
    (port,) = free_ports(1)
    return Address(host="127.0.0.1", port=port)


@pytest.fixture
def unix(tmp_path: Path) -> Address:
    return Address(path=str(tmp_path / "extauthz.sock"))


def connects(address: Address) -> bool:
    family = socket.AF_UNIX if address.path else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    target = address.path or (address.host, address.port)
    with socket.socket(family) as client:
        return client.connect_ex(target) == 0


class TestTcp:
    """An IP address and a port."""

    def test_it_listens_and_can_be_released(self, tcp: Address) -> None:
        """And the address is free again."""
        listener = listen(tcp)
        assert connects(tcp)
        release(tcp, listener)
        assert not connects(tcp)

    def test_version_6_of_the_protocol_works_too(self) -> None:
        """Where the machine has it."""
        (port,) = free_ports(1)
        address = Address(host="::1", port=port)
        listener = listen(address)
        assert connects(address)
        release(address, listener)

    def test_an_address_of_another_host_says_what_to_write(self) -> None:
        """The system's own words do not."""
        with pytest.raises(OSError, match=r"^cannot listen on 192\.0\.2\.1:9191: .*: this host does not have it"):
            listen(Address(host="192.0.2.1", port=9191))

    @pytest.mark.shows("E73")
    def test_a_taken_port_is_an_error_that_names_it(self, tcp: Address) -> None:
        """One sentence for the operator."""
        first = listen(tcp)
        with pytest.raises(
            OSError, match=rf"^cannot listen on 127\.0\.0\.1:{tcp.port}: Address already in use: ss -ltnpx says who"
        ):
            listen(tcp)
        release(tcp, first)

    def test_a_port_that_was_just_released_can_be_had_at_once(self, tcp: Address) -> None:
        """A restart does not wait for connections that are winding down."""
        first = listen(tcp)
        with socket.create_connection((tcp.host, tcp.port)) as client:
            served, _ = first.accept()
            served.close()
            release(tcp, first)
            assert client.recv(1) == b""
        release(tcp, listen(tcp))

    def test_an_address_that_is_not_ours_is_an_error(self) -> None:
        """RFC 5737 keeps 192.0.2.0/24 for examples."""
        with pytest.raises(OSError, match=r"^cannot listen on 192\.0\.2\.1:28000: "):
            listen(Address(host="192.0.2.1", port=28000))


class TestUnix:
    """The path of a socket file."""

    @pytest.mark.shows("E72")
    def test_it_listens_and_its_file_goes_with_it(self, unix: Address) -> None:
        """Nothing is left behind."""
        listener = listen(unix)
        assert connects(unix)
        release(unix, listener)
        assert not Path(unix.path).exists()

    def test_releasing_is_fine_when_the_file_is_gone(self, unix: Address) -> None:
        """Somebody cleaned up."""
        listener = listen(unix)
        Path(unix.path).unlink()
        release(unix, listener)

    @pytest.mark.shows("E72")
    def test_a_stale_file_is_replaced(self, unix: Address) -> None:
        """It was left by a process that was killed."""
        listen(unix).close()
        assert Path(unix.path).exists()
        listener = listen(unix)
        assert connects(unix)
        release(unix, listener)

    def test_a_socket_that_somebody_listens_on_is_taken(self, unix: Address) -> None:
        """The other goes on listening."""
        first = listen(unix)
        with pytest.raises(OSError, match=f"^cannot listen on unix:{unix.path}: Address already in use"):
            listen(unix)
        assert connects(unix)
        release(unix, first)

    def test_a_live_socket_of_another_kind_is_left_alone(self, unix: Address) -> None:
        """As the one of a system log, which takes datagrams."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(unix.path)
            inode = Path(unix.path).stat().st_ino
            with pytest.raises(OSError, match=f"^cannot listen on unix:{unix.path}: "):
                listen(unix).close()
            assert Path(unix.path).stat().st_ino == inode

    @pytest.mark.shows("E72")
    @pytest.mark.parametrize(
        "make",
        [lambda path: path.write_text("precious"), lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere")],
        ids=["file", "folder", "dangling link"],
    )
    def test_what_is_no_socket_is_left_alone(self, unix: Address, make: Callable[[Path], object]) -> None:
        """A mistyped path must not cost anybody a file."""
        path = Path(unix.path)
        make(path)
        before = path.lstat()
        with pytest.raises(OSError, match=f"^cannot listen on unix:{unix.path}: Address already in use"):
            listen(unix)
        assert path.lstat() == before

    @pytest.mark.shows("E72")
    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
    def test_it_has_the_mode_and_the_group_that_are_configured(self, unix: Address, mode: int) -> None:
        """Whatever the umask: who may connect is the operator's to say."""
        group = grp.getgrgid(os.getegid()).gr_name
        before = os.umask(0o077)
        try:
            listener = listen(unix, Socket(mode=f"0{mode:o}", group=group))  # type: ignore[arg-type] # as it is written
        finally:
            os.umask(before)
        found = Path(unix.path).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, os.getegid())
        release(unix, listener)

    @pytest.mark.shows("E72")
    def test_a_group_that_there_is_not_is_an_error(self, unix: Address) -> None:
        """And nobody can connect meanwhile."""
        with pytest.raises(OSError, match="there is no group no-such-group"):
            listen(unix, Socket(group="no-such-group"))

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        """With the path and the reason."""
        with pytest.raises(OSError, match=r"no/such/socket: No such file or directory: make the folder"):
            listen(Address(path=str(tmp_path / "no/such/socket")))


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_failure_leaves_no_socket_open(request: pytest.FixtureRequest, kind: str) -> None:
    """A warning about one that nobody closed would be an error here."""
    address: Address = request.getfixturevalue(kind)
    first = listen(address)
    for _ in range(3):
        with pytest.raises(OSError, match="cannot listen"):
            listen(address)
    release(address, first)
