"""`extauthz revoke`: tell a running service to forget tokens, subjects or clients at once."""

import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Final, TextIO

import click

from extauthz.cli.serve import config_option, load
from extauthz.config.load import load_ops
from extauthz.config.values import Address

_SECONDS: Final = 10.0
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a listener on all addresses is met."""

NOT_REVOKED: Final = 1
"""Exit status when the service did not, or not everywhere, forget what was named."""


@click.command()
@config_option
@click.option("--token-file", type=click.File("r"), multiple=True, help="A file with one token; - is standard input.")
@click.option("--jti", multiple=True, help="The id of a token.")
@click.option("--sub", multiple=True, help="A subject: all of its tokens.")
@click.option("--client-id", multiple=True, help="A client: all of its tokens.")
@click.option("--all", "everything", is_flag=True, help="Everything that is known about any token.")
def revoke(
    *,
    config_path: Path,
    token_file: tuple[TextIO, ...],
    jti: tuple[str, ...],
    sub: tuple[str, ...],
    client_id: tuple[str, ...],
    everything: bool,
) -> None:
    """Forget tokens, so that the next use of each asks the authorization server.

    A token itself is taken from a file or from standard input, because other users can see a command line.
    """
    tokens = tuple(file.read().strip() for file in token_file)
    names: dict[str, object] = {"token": tokens, "jti": jti, "sub": sub, "client_id": client_id, "all": everything}
    wanted = {kind: value for kind, value in names.items() if value}
    if not wanted:
        raise click.UsageError("name what to forget: --token-file, --jti, --sub, --client-id or --all")
    address, secret = load(load_ops, config_path)
    if secret is None:
        raise click.UsageError(f"{config_path} has no ops: {{token: …}}, so nobody may revoke")
    status, text = _post(address, secret.reveal(), wanted)
    click.echo(text, err=status != http.client.OK)
    sys.exit(0 if status == http.client.OK else NOT_REVOKED)


def _post(address: Address, secret: str, names: object) -> tuple[int, str]:
    connection = _connection(address)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    try:
        connection.request("POST", "/revoke", json.dumps(names), headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer at {address}: {error}"
    finally:
        connection.close()


def _connection(address: Address) -> http.client.HTTPConnection:
    if address.path:
        return _UnixConnection(address.path)
    host = _ANYWHERE.get(address.host, address.host)
    return http.client.HTTPConnection(host, address.port, timeout=_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)
