"""The gateways' files, the two releases of Envoy, and an Envoy that runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extauthz.cli.processes import Process, envoy_command, free_ports, render_gateway
from extauthz.cli.upstream import Upstream

GATEWAY_FILES = Path(__file__).parents[2] / "gateway"
OLDEST_ENVOY = Path(sys.prefix) / "envoy-1.36" / "envoy" / "_bin" / "envoy"


def envoy_binary(release: str) -> str:
    """The program of the newest or the oldest release that we run with."""
    if release == "newest":
        return envoy_command(Path())[0]
    assert OLDEST_ENVOY.exists(), f"{OLDEST_ENVOY} is missing: run `make install`"
    return str(OLDEST_ENVOY)


@contextmanager
def envoy(
    folder: Path, authorizer: int, *, release: str = "newest", edit: dict[str, str] | None = None
) -> Iterator[int]:
    """A real Envoy from gateway/envoy.yaml, with some of its text replaced, before an upstream; its port."""
    port, admin, upstream = free_ports(3)
    ports = {10000: port, 9901: admin, 10002: upstream, 9191: authorizer}
    text = render_gateway(GATEWAY_FILES / "envoy.yaml", ports)
    for old, new in (edit or {}).items():
        assert old in text
        text = text.replace(old, new)
    config = folder / "envoy.yaml"
    config.write_text(text)
    command = [envoy_binary(release), *envoy_command(config)[1:]]
    with Upstream(upstream), Process("envoy", command, log=folder / "envoy.log") as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthz")
        yield port
