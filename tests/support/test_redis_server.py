"""The Redis of the tests does what its handle says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from extauthz.cli.processes import ProcessFailed
from support.certificates import Authority
from support.redis_server import LOOPBACK, RedisServer, Tls, client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def get_at(server: RedisServer, seconds: float = 30.0) -> object:
    """What a client at the port reads."""
    with client(port=server.port, socket_timeout=seconds) as connection:
        return connection.get("a")


class TestOneServer:
    """Alone, without encryption."""

    def test_it_answers_at_its_url(self, server: RedisServer) -> None:
        """And keeps keys until it is told to forget them."""
        with redis.Redis.from_url(server.url) as connection:
            connection.set("a", "1")
        assert server.keys() == ["a"]
        server.flush()
        assert server.keys() == []

    def test_paused_it_accepts_and_does_not_answer(self, server: RedisServer) -> None:
        """Resumed, it has forgotten nothing."""
        server.command("SET", "a", "2")
        server.pause()
        with pytest.raises(redis.TimeoutError):
            get_at(server, 0.1)
        server.resume()
        assert get_at(server) == "2"

    def test_killed_it_refuses_and_restarted_it_is_empty(self, server: RedisServer) -> None:
        """On the same port."""
        server.command("SET", "a", "3")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            get_at(server)
        server.restart()
        assert get_at(server) is None

    def test_a_paused_one_can_be_stopped(self, server: RedisServer) -> None:
        """Without waiting for the kill."""
        server.pause()
        server.stop()
        assert not server.process.running
        server.start()


def test_with_a_password_it_lets_nobody_else_in(tmp_path: Path) -> None:
    """But us."""
    with RedisServer(tmp_path, password="secret") as server:
        with pytest.raises(redis.AuthenticationError):
            get_at(server)
        with client(port=server.port, password="secret") as connection:
            connection.set("a", "1")
        assert server.keys() == ["a"]


def test_a_full_one_refuses_to_store(tmp_path: Path) -> None:
    """Options are those of the program."""
    with RedisServer(tmp_path, options=("--maxmemory", "100kb")) as server, client(port=server.port) as connection:
        with pytest.raises(redis.OutOfMemoryError):
            connection.set("a", "1")
        assert connection.ping() is True


def test_one_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    """The message has the end of its log."""
    server = RedisServer(tmp_path, options=("--no-such-option", "1"))
    with pytest.raises(ProcessFailed, match="no-such-option"):
        server.start()
    assert not server.process.running


def test_with_tls_both_ends_are_checked(tmp_path: Path) -> None:
    """The client's trust in the authority, and the server's wish for a certificate."""
    authority = Authority(tmp_path)
    tls = Tls(authority=authority, server=authority.issue("server"), client_must_show=True)
    mine = authority.issue("client")
    trust = {"host": LOOPBACK, "ssl": True, "ssl_ca_certs": str(authority.path)}
    shown = {"ssl_certfile": str(mine.certificate), "ssl_keyfile": str(mine.key)}
    with RedisServer(tmp_path, tls=tls) as server:
        assert server.url == f"rediss://127.0.0.1:{server.port}/0"
        with client(port=server.port, **trust, **shown) as connection:
            assert connection.ping() is True
        with client(port=server.port, **trust) as connection, pytest.raises(redis.ConnectionError):
            connection.ping()
        stranger = {"ssl": True, **shown}
        with client(port=server.port, **stranger) as connection, pytest.raises(redis.ConnectionError):
            connection.ping()
