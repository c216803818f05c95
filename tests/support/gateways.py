"""Where the gateways' files and the two releases of Envoy are."""

import sys
from pathlib import Path

from extauthz.cli.processes import envoy_command

GATEWAY_FILES = Path(__file__).parents[2] / "gateway"
OLDEST_ENVOY = Path(sys.prefix) / "envoy-1.36" / "envoy" / "_bin" / "envoy"


def envoy_binary(release: str) -> str:
    """The program of the newest or the oldest release that we run with."""
    if release == "newest":
        return envoy_command(Path())[0]
    assert OLDEST_ENVOY.exists(), f"{OLDEST_ENVOY} is missing: run `make install`"
    return str(OLDEST_ENVOY)
