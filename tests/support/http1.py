"""An HTTP/1.1 client that sends what it is told, octet for octet: no library would."""

import http.client
import socket

TIMEOUT_SECONDS = 30.0

Lines = list[tuple[str, str]]
"""Header lines; text is octets, read as Latin-1."""

Answer = dict[str, list[str]]
"""Header values by lower-case name, lines kept apart."""


def exchange(port: int, method: str, target: str, headers: Lines) -> tuple[int, Answer, bytes]:
    """One exchange on a connection of its own; status 0 when it ends without an answer. A missing `Host` is added."""
    has_host = any(name.lower() == "host" for name, _ in headers)
    lines = headers if has_host else [("Host", "127.0.0.1"), *headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        with http.client.HTTPResponse(connection, method=method) as response:
            try:
                response.begin()
            except http.client.RemoteDisconnected:
                return 0, {}, b""
            collected: Answer = {}
            for name, value in response.getheaders():
                collected.setdefault(name.lower(), []).append(value)
            return response.status, collected, response.read()
