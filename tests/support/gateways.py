"""Real gateways: started from the files in gateway/, or from what a controller makes of them, and asked as clients do."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cases import Request, Seen
from extauthz.cli.processes import Process, envoy_command, free_ports, nginx_command, render_gateway
from support.controllers import CONTROLLERS, site
from support.fronts import IDENTITY, Front, refused, tokens
from support.http1 import exchange

GATEWAY_FILES = Path(__file__).parents[2] / "gateway"
OLDEST_ENVOY = Path(sys.prefix) / "envoy-1.36" / "envoy" / "_bin" / "envoy"


def envoy_binary(release: str) -> str:
    """The program of the newest or the oldest release that we run with."""
    if release == "newest":
        return envoy_command(Path())[0]
    assert OLDEST_ENVOY.exists(), f"{OLDEST_ENVOY} is missing: run `make install`"
    return str(OLDEST_ENVOY)


_ENVOY = (
    ("connect_timeout: 0.25s", "connect_timeout: 10s"),
    ("- timeout: 0.5s", "- timeout: 10s"),
)
DEADLINES: dict[str, tuple[tuple[str, str], ...]] = {
    "envoy.yaml": (("timeout: 1s  #", "timeout: 20s  #"), ("timeout: 5s}", "timeout: 20s}"), *_ENVOY),
    "envoy-http-service.yaml": (("cluster: extauthz, timeout: 1s}", "cluster: extauthz, timeout: 20s}"), *_ENVOY),
    "nginx.conf": (
        ("proxy_read_timeout    1s;", "proxy_read_timeout    20s;"),
        ("proxy_connect_timeout 250ms;", "proxy_connect_timeout 10s;"),
        ("proxy_send_timeout    500ms;", "proxy_send_timeout    10s;"),
        ("proxy_next_upstream_timeout 1s;", "proxy_next_upstream_timeout 20s;"),
    ),
    "Caddyfile": (
        ("response_header_timeout 1s", "response_header_timeout 20s"),
        ("dial_timeout 250ms", "dial_timeout 10s"),
    ),
}
"""How long each shipped file has its gateway wait, for an answer first of all, and what stands there for the tests."""


def patient(file: str, ports: Mapping[int, int]) -> str:
    """The text of a shipped file with other ports, and with deadlines that pass on no machine that stands still for a while."""
    text = render_gateway(GATEWAY_FILES / file, ports)
    for shipped, long in DEADLINES[file]:
        assert shipped in text, f"{file} has no {shipped!r}"
        text = text.replace(shipped, long)
    return text


# ---- what can be seen there -------------------------------------------------------------------------------------

Tells = Callable[[Request, Seen], Seen]


def _all_but_bodies(request: Request, seen: Seen) -> Seen:
    """An answer to HEAD has no body, which would name the reason, or what the upstream saw."""
    if request.method != "HEAD":
        return seen
    return Seen(status=seen.status, challenge=seen.challenge, retry_after=seen.retry_after)


def _without_errors(request: Request, seen: Seen) -> Seen:
    """Any 5xx of ours is an error to `http_service`, and Envoy answers for itself."""
    return Seen(status=503, retry_after=1) if seen.status >= 500 else _all_but_bodies(request, seen)


def _as_auth_request(request: Request, seen: Seen) -> Seen:
    """Without a recipe that restores the true status, NGINX has three answers: 401 with its challenge, 403 and 500."""
    if not seen.reason:
        return _all_but_bodies(request, seen)
    if seen.status in {400, 401} and seen.challenge:
        return Seen(status=401, challenge=seen.challenge)
    return Seen(status=403 if seen.status < 500 else 500)


# ---- the gateways -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway: the file it is started from, and where `differs` may speak of it."""

    file: str
    places: tuple[str, ...]
    tells: Tells = _all_but_bodies


GATEWAYS = {
    "newest envoy": Gateway(file="envoy.yaml", places=("envoy newest", "envoy")),
    "oldest envoy": Gateway(file="envoy.yaml", places=("envoy 1.36", "envoy")),
    "newest envoy http_service": Gateway(
        file="envoy-http-service.yaml", places=("envoy http_service", "envoy newest", "envoy"), tells=_without_errors
    ),
    "oldest envoy http_service": Gateway(
        file="envoy-http-service.yaml", places=("envoy http_service", "envoy 1.36", "envoy"), tells=_without_errors
    ),
    "nginx": Gateway(file="nginx.conf", places=("nginx",)),
    "ingress-nginx": Gateway(file="nginx.conf", places=("ingress-nginx", "nginx"), tells=_as_auth_request),
    "nginx gateway fabric": Gateway(
        file="nginx.conf", places=("nginx gateway fabric", "nginx"), tells=_as_auth_request
    ),
    "caddy": Gateway(file="Caddyfile", places=("caddy",)),
}


@contextmanager
def started(name: str, folder: Path, *, upstream: int, authorizer: tuple[int, int]) -> Iterator[Front]:
    """A running gateway before an application and an extauthz (gateway and ops), all given by their ports."""
    port, admin = free_ports(2)
    gateway = GATEWAYS[name]
    config = folder / gateway.file
    if name in CONTROLLERS:
        config.write_text(site(name, port=port, app=upstream, authorizer=authorizer[0]))
    else:
        asked, ops = authorizer
        ports = {10000: port, 10001: port, 10003: port, 10002: upstream, 9191: asked, 9192: ops, 9901: admin}
        config.write_text(patient(gateway.file, ports))
    home = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}  # Caddy writes there
    with Process(name, _command(name, config), log=folder / "log", env=home) as process:
        process.wait_for_port(port)
        yield front(name, port)


def _command(name: str, config: Path) -> list[str]:
    if config.suffix == ".conf":
        return nginx_command(config, config.parent)
    if name == "caddy":
        return caddy_command(config)
    return [envoy_binary(name.split(maxsplit=1)[0]), *envoy_command(config)[1:]]


def caddy_command(config: Path) -> list[str]:
    """Caddy with this configuration."""
    assert shutil.which("caddy"), "Caddy is not installed: apt-get install caddy"
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


# ---- asking -----------------------------------------------------------------------------------------------------


def front(name: str, port: int) -> Front:
    """A client of the gateway at this port."""
    gateway = GATEWAYS[name]
    return Front(name=name, ask=lambda request: ask(port, request), places=gateway.places, tells=gateway.tells)


def ask(port: int, request: Request) -> Seen:
    """How a request through a gateway ends, before an upstream that answers with the request that it got."""
    lines = [("Host", request.host), *tokens(request), *request.headers]
    status, headers, body = exchange(port, request.method, request.target, lines)
    if status == 200:
        return Seen(status=200, identity=_identity(body) if body else None)
    return refused(status, headers, _reason(body))


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def _identity(body: bytes) -> dict[str, str]:
    lines = [(name.lower(), value) for name, value in json.loads(body)["headers"]]
    seen = [(name, value) for name, value in lines if name.replace("_", "-").replace(".", "-") in IDENTITY]
    assert len(seen) == len(dict(seen)), f"an identity header arrived twice: {seen}"
    return dict(seen)
