"""Everything that the demo starts: five parts, each what it would be in earnest, and all of it gone at the end."""

import asyncio
import base64
import contextlib
import http.client
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import extauthz
from extauthz.authserver.admin import add_client, issue_token
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.processes import Process, envoy_command, nginx_command, port_in_use
from extauthz.cli.tour import Tokens
from extauthz.cli.upstream import Upstream

AUDIENCE = "https://api.example.com"
GATEWAYS = {"Envoy": 10000, "NGINX": 10001}
"""The ports that clients use, as the files in gateway/ say."""

SERVER_PORT = 9190
UPSTREAM_PORT = 10002
PARTS = {
    "authorization server": (SERVER_PORT,),
    "extauthz": (9191, 9192),
    "upstream": (UPSTREAM_PORT,),
    "Envoy": (GATEWAYS["Envoy"], 9901),
    "NGINX": (GATEWAYS["NGINX"],),
}
"""Every port that is needed, as the files in gateway/ and examples/ say."""

_ISSUER = f"http://127.0.0.1:{SERVER_PORT}"
_READY = {
    "authorization server": f"{_ISSUER}/.well-known/oauth-authorization-server",
    "extauthz": "http://127.0.0.1:9192/readyz",
    "Envoy": "http://127.0.0.1:10000/healthz",  # a public route: all the way through extauthz to the upstream
    "NGINX": "http://127.0.0.1:10001/healthz",
}
_TOKEN_SECONDS = 3600
_BCRYPT_ROUNDS = 4  # the least there is: the secrets are random, and the first introspection has 500 ms
_FILES = ("gateway/envoy.yaml", "gateway/nginx.conf", "examples/extauthz.yaml", "examples/policy.yaml")


class NotReady(Exception):  # noqa: N818 - it says what is the matter
    """The demo cannot start here; the message says what to change."""


def repository() -> Path:
    """The folder with gateway/ and examples/: here, above, or where this module was checked out."""
    places = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    for place in places:
        if all((place / file).is_file() for file in _FILES):
            return place
    raise NotReady(
        f"run it inside a checkout of the repository: {', '.join(_FILES)} not found in or above {Path.cwd()}"
    )


def check_ports() -> None:
    """Raise `NotReady` naming every port that is taken, and the part that needs it."""
    taken = [f"{port} ({part})" for part, ports in PARTS.items() for port in ports if port_in_use(port)]
    if taken:
        raise NotReady(f"in use, and needed here: port {', '.join(taken)}. Stop what listens there; ss -ltnp shows it")


class Stage:
    """The parts and what they share. Made by `open_stage`, which also ends them.

    Attributes:
        up: the parts that answer, each with the seconds that it took.
        tokens: minted for the tour.
        upstream: the application behind the gateways.
    """

    def __init__(self, root: Path, folder: Path, ends: contextlib.ExitStack) -> None:
        self._folder = folder
        self._ends = ends
        self._store = folder / "authserver.db"
        self._secrets = {client: secrets.token_urlsafe(32) for client in ("gateway", "demo-app")}
        self._commands = _commands(root, folder, self._store)
        self._processes: dict[str, Process] = {}
        self.up: dict[str, float] = {}
        self.tokens = asyncio.run(self._register())
        self.upstream = ends.enter_context(Upstream(UPSTREAM_PORT))

    def start(self) -> Iterator[str]:
        """Start all parts at once, then name each as it answers."""
        begin = time.monotonic()
        for name, command in self._commands.items():
            self._launch(name, command)
        for name in PARTS:
            self._wait(name)
            self.up[name] = time.monotonic() - begin
            yield name

    def stop_server(self) -> None:
        """End the authorization server."""
        self._processes["authorization server"].stop()

    def start_server(self) -> None:
        """Start the authorization server again, with the same clients and tokens."""
        self._processes["authorization server"].start()
        self._wait("authorization server")

    def revoke(self, token: str) -> None:
        """Revoke a token as its client does (RFC 7009): over HTTP, with the client's own secret."""
        credentials = base64.b64encode(f"demo-app:{self._secrets['demo-app']}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection("127.0.0.1", SERVER_PORT, timeout=5)
        with contextlib.closing(connection):
            connection.request("POST", "/oauth2/revoke", urlencode({"token": token}), headers)
            status = connection.getresponse().status
        if status != http.client.OK:
            raise NotReady(f"the authorization server answered the revocation with {status} instead of 200")

    async def _register(self) -> Tokens:
        """The clients: extauthz, which may introspect, and the application that the tokens are issued to."""
        async with SqliteStore(self._store) as store:
            for client, secret in self._secrets.items():
                await add_client(
                    store,
                    client_id=client,
                    secret=secret,
                    can_introspect=client == "gateway",
                    audiences=[AUDIENCE],
                    rounds=_BCRYPT_ROUNDS,
                )
            return Tokens(
                alice=await _mint(store, "alice", "orders:read"),
                bob=await _mint(store, "bob", "profile"),
                carol=await _mint(store, "carol", "orders:read", "payments:write"),
                dave=await _mint(store, "dave", "orders:read"),
                erin=await _mint(store, "erin", "orders:read"),
                frank=await _mint(store, "frank", "orders:read"),
                machine=await _mint(store, None, "orders:read"),
            )

    def _launch(self, name: str, command: list[str]) -> None:
        env = {"PYTHONPATH": str(Path(extauthz.__file__).resolve().parents[1])}  # they do not start where we are
        if name == "extauthz":
            env["EXTAUTHZ_CLIENT_SECRET"] = self._secrets["gateway"]
        log = self._folder / f"{name.replace(' ', '-')}.log"
        process = Process(name, command, log=log, env=env, cwd=self._folder)
        self._processes[name] = process
        self._ends.callback(process.stop)  # first: from here on, whatever happens, it ends
        process.start()

    def _wait(self, name: str) -> None:
        if name in self._processes:
            self._processes[name].wait_for_http(_READY[name])


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    """A stage in a temporary folder, not started yet. On the way out, everything is ended and removed."""
    root = repository()
    check_ports()
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="extauthz-demo-")))
        yield Stage(root, folder, ends)


def _commands(root: Path, folder: Path, store: Path) -> dict[str, list[str]]:
    program = [sys.executable, "-m", "extauthz"]
    server = ["authserver", "serve", "--listen", f"127.0.0.1:{SERVER_PORT}", "--issuer", _ISSUER]
    prefix = folder / "nginx"
    prefix.mkdir()
    return {
        "authorization server": [*program, *server, "--store", f"sqlite:///{store}"],
        "extauthz": [*program, "serve", "--config", str(root / "examples/extauthz.yaml")],
        "Envoy": envoy_command(root / "gateway/envoy.yaml"),
        "NGINX": nginx_command(root / "gateway/nginx.conf", prefix),
    }


async def _mint(store: SqliteStore, sub: str | None, *scope: str) -> str:
    token, _ = await issue_token(
        store,
        client_id="demo-app",
        sub=sub,
        scope=scope,
        audience=[AUDIENCE],
        ttl_seconds=_TOKEN_SECONDS,
        now=time.time(),
    )
    return token
