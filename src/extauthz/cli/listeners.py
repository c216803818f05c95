"""Listening sockets, opened before anything else so that a taken address is one clear sentence."""

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from extauthz.config.service_schema import Socket
from extauthz.config.values import Address

_BACKLOG = 1024
_DEFAULT_ACCESS = Socket()
_ADVICE = {
    errno.EADDRINUSE: "ss -ltnpx says who listens there; write another address, or end that",
    errno.EADDRNOTAVAIL: "this host does not have it; write one that it has, or 0.0.0.0 for all",
    errno.EACCES: "this user may not; ports below 1024 and foreign folders take more rights",
    errno.ENOENT: "make the folder of the socket first",
}


def listen(address: Address, access: Socket = _DEFAULT_ACCESS) -> socket.socket:
    """Open a listening socket; a stale Unix socket file is replaced, any other file is left alone.

    Raises:
        OSError: naming the address and what to do.
    """
    try:
        return _listen_unix(address.path, access) if address.path else _listen_tcp(address)
    except LookupError:
        raise OSError(f"cannot listen on {address}: there is no group {access.group}") from None
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {_advice(error)}") from error


def _advice(error: OSError) -> str:
    advice = _ADVICE.get(error.errno or 0)
    return f"{os.strerror(error.errno)}: {advice}" if advice and error.errno else error.strerror or str(error)


def _listen_tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)


def _listen_unix(path: str, access: Socket) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            Path(path).unlink()
        _bind_private(listener, path)
        if access.group is not None:
            shutil.chown(path, group=access.group)
        Path(path).chmod(access.mode)
        listener.listen(_BACKLOG)
    except (OSError, LookupError):
        listener.close()
        raise
    return listener


def _bind_private(listener: socket.socket, path: str) -> None:
    """Bind so that nobody else can connect before mode and group are what they shall be."""
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)


def _is_stale(path: str) -> bool:
    """Whether a socket file lies there and nobody answers."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - the mode alone
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(path) == errno.ECONNREFUSED
    return False


@contextmanager
def listening(address: Address, access: Socket = _DEFAULT_ACCESS) -> Iterator[socket.socket]:
    """An open listening socket, released at the end."""
    listener = listen(address, access)
    try:
        yield listener
    finally:
        release(address, listener)


def release(address: Address, listener: socket.socket) -> None:
    """Close the socket and remove its file."""
    listener.close()
    if address.path:
        with suppress(FileNotFoundError):
            Path(address.path).unlink()
