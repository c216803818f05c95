"""Other programs that do the work of extauthz, measured in the same run. To add one: README.md here."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.peers import apache, njs
from bench.stage import Part, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One program.

    Attributes:
        missing: what has to be installed first; empty when all is there.
        start: starts it in front of the application, with the authorization server of the run; a gateway.
    """

    name: str
    missing: Callable[[], str]
    start: Callable[[Stage], Part]


PEERS = (
    Peer(name="NGINX with njs", missing=njs.missing, start=njs.start),
    Peer(name="Apache with mod_oauth2", missing=apache.missing, start=apache.start),
)


def installed() -> list[Peer]:
    """Those that can be measured here."""
    return [peer for peer in PEERS if not peer.missing()]


def not_installed() -> list[str]:
    """A line for each that cannot."""
    return [f"peers: {peer.name} is not measured: {peer.missing()}" for peer in PEERS if peer.missing()]
