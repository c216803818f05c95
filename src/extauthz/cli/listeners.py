"""Listening sockets, opened before anything else so that a taken address is one clear sentence."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from extauthz.config.values import Address

_BACKLOG = 1024


def listen(address: Address) -> socket.socket:
    """Open a listening socket; a stale Unix socket file is replaced, any other file is left alone.

    Raises:
        OSError: naming the address and what to do.
    """
    try:
        return _listen_unix(address.path) if address.path else _listen_tcp(address)
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error.strerror or error}") from error


def _listen_tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            Path(path).unlink()
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _is_stale(path: str) -> bool:
    """Whether a socket file lies there and nobody answers."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - the mode alone
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(path) != 0
    return False


def release(address: Address, listener: socket.socket) -> None:
    """Close the socket and remove its file."""
    listener.close()
    if address.path:
        with suppress(FileNotFoundError):
            Path(address.path).unlink()
