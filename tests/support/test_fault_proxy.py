"""The proxy of the tests breaks what it says, and nothing else."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from extauthz.cli.processes import free_ports
from support.fault_proxy import (
    Fault,
    FaultProxy,
    after,
    answering,
    dripping,
    hanging,
    hanging_up,
    late,
    passing,
    reset_after_request,
    reset_at_once,
    reset_in_body,
    saying,
    truncated,
)
from support.serving import wait_until

PATIENCE = 0.3
BODY = b"0123456789"


class Echo(BaseHTTPRequestHandler):
    """Says the body of the request again: as it is, or in chunks if the path asks for them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        if self.path == "/chunks":
            self.send_header("transfer-encoding", "chunked")
            chunks = [body[start : start + 5] for start in range(0, len(body), 5)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
        else:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    (port,) = free_ports(1)
    with ThreadingHTTPServer(("127.0.0.1", port), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield port
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: int) -> Iterator[FaultProxy]:
    with FaultProxy(upstream) as proxy:
        yield proxy


@contextmanager
def connected(proxy: FaultProxy, seconds: float = 30.0) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=seconds)
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, path: str = "/", body: bytes = BODY) -> bytes:
    """The body of one answer."""
    connection.request("POST", path, body)
    return connection.getresponse().read()


def ask_once(proxy: FaultProxy, seconds: float = 30.0) -> bytes:
    """The same over a connection of its own."""
    with connected(proxy, seconds) as connection:
        return ask(connection)


class TestWithoutFault:
    """It is not there."""

    @pytest.mark.parametrize("path", ["/", "/chunks"])
    @pytest.mark.parametrize("body", [BODY, b"", b"x" * 100_000, b"\r\n0\r\n"], ids=["some", "none", "much", "odd"])
    def test_bytes_pass_unchanged(self, proxy: FaultProxy, path: str, body: bytes) -> None:
        """In both directions, in both framings."""
        with connected(proxy) as connection:
            assert ask(connection, path, body) == body

    def test_a_connection_lives_on(self, proxy: FaultProxy) -> None:
        """Requests and connections are counted apart; a closed one is gone."""
        with connected(proxy) as connection:
            assert [ask(connection) for _ in range(3)] == [BODY] * 3
            assert (proxy.connections, proxy.requests, proxy.open) == (1, 3, 1)
        wait_until(lambda: proxy.open == 0)
        ask_once(proxy)
        assert (proxy.connections, proxy.requests) == (2, 4)

    def test_a_url_can_be_led_through_it(self, proxy: FaultProxy) -> None:
        """Scheme, path and query stay."""
        assert proxy.through("http://127.0.0.1:5/a/b?c=d") == f"http://127.0.0.1:{proxy.port}/a/b?c=d"


class TestFaults:
    """What a client sees of each."""

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (hanging, TimeoutError),
            (late(90), TimeoutError),
            (hanging_up, http.client.RemoteDisconnected),
            (reset_at_once, ConnectionResetError),
            (reset_after_request, ConnectionResetError),
            (reset_in_body, (ConnectionResetError, http.client.IncompleteRead)),
            (truncated, http.client.IncompleteRead),
            (saying(b"\x00\xff\r\n\r\n"), http.client.BadStatusLine),
        ],
    )
    def test_it_is_an_error(self, proxy: FaultProxy, fault: Fault, error: type[Exception]) -> None:
        """And once it is over, all is well again, with no connection left behind."""
        with proxy.having(fault), pytest.raises(error):
            ask_once(proxy, PATIENCE if error is TimeoutError else 30.0)
        assert ask_once(proxy) == BODY
        wait_until(lambda: proxy.open == 0)

    @pytest.mark.parametrize("fault", [passing, late(0.05), dripping(0.0001)])
    def test_what_is_only_slow_arrives(self, proxy: FaultProxy, fault: Fault) -> None:
        """The whole of it."""
        with proxy.having(fault):
            assert ask_once(proxy) == BODY

    def test_a_drip_has_a_first_byte(self, proxy: FaultProxy) -> None:
        """Each read is soon over: only a total deadline helps."""
        with proxy.having(dripping(0.2)), connected(proxy) as connection:
            connection.request("POST", "/", BODY)
            said = [connection.sock.recv(100), connection.sock.recv(100)]
            assert all(said), "there is always more to read"
            assert b"HTTP/1.1 200 OK\r\n".startswith(b"".join(said)[:17])
            assert BODY not in b"".join(said), "and the end is far away"

    def test_an_answer_of_its_own_keeps_the_connection(self, proxy: FaultProxy) -> None:
        """As a server in trouble does."""
        with connected(proxy) as connection:
            with proxy.having(answering(503, "retry-after: 7", body="busy")):
                connection.request("POST", "/", BODY)
                answer = connection.getresponse()
                assert (answer.status, answer.headers["retry-after"], answer.read()) == (503, "7", b"busy")
            assert ask(connection) == BODY
        assert proxy.connections == 1

    def test_it_can_begin_after_some_answers(self, proxy: FaultProxy) -> None:
        """Over one connection or several."""
        with proxy.having(after(2, hanging_up)):
            assert [ask_once(proxy), ask_once(proxy)] == [BODY] * 2
            with pytest.raises(http.client.RemoteDisconnected):
                ask_once(proxy)

    def test_it_can_refuse_connections(self, proxy: FaultProxy) -> None:
        """Open ones are reset; afterwards it listens on the same port."""
        with connected(proxy) as connection:
            ask(connection)
            with proxy.refusing():
                with pytest.raises(ConnectionResetError):
                    ask(connection)
                with pytest.raises(ConnectionRefusedError):
                    ask_once(proxy)
            assert ask_once(proxy) == BODY

    def test_it_can_reset_an_idle_connection(self, proxy: FaultProxy) -> None:
        """As a server does whose patience is shorter than ours."""
        with connected(proxy) as connection:
            ask(connection)
            proxy.reset_connections()
            with pytest.raises(ConnectionResetError):
                ask(connection)
        assert ask_once(proxy) == BODY
