"""Where a request comes from: the address of the connection, or what a trusted proxy says of it. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_PREFIX_BITS = 64
"""Of IPv6, what one subscriber has is counted as one address."""


def peer_address(scope: Mapping[str, Any], trusted: Sequence[IPNetwork]) -> IPAddress | None:
    """Return the address that the request comes from; ``None`` when it comes over a Unix socket and nobody tells.

    ``X-Forwarded-For`` is read from its end, as long as a trusted proxy has written the entry: what stands before the
    first untrusted address may be invented. Where any proxy is trusted, one that may open our Unix socket is.
    """
    client = scope.get("client")
    address = None if not client else _parsed(client[0])
    if not trusted or not (address is None or _within(address, trusted)):
        return address
    for hop in reversed(_forwarded(scope)):
        before = _parsed(hop)
        if before is None:
            return address
        address = before
        if not _within(address, trusted):
            return address
    return address


def is_within(address: IPAddress | None, networks: Iterable[str]) -> bool:
    """Tell whether the address lies in one of the networks, which are in CIDR notation; no address lies in none."""
    return address is not None and any(address in _network(network) for network in networks)


@lru_cache(maxsize=4096)
def shown(address: IPAddress | None) -> str:
    """Return the address as text; making it costs more than finding it."""
    return "unix" if address is None else str(address)


@lru_cache(maxsize=4096)
def counted_as(address: IPAddress | None) -> str:
    """What limits count: an IPv4 address, or the /64 that an IPv6 address is in."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _PREFIX_BITS << _PREFIX_BITS, _PREFIX_BITS)))
    return shown(address)


def _forwarded(scope: Mapping[str, Any]) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
    return [hop.strip() for value in values for hop in value.split(",")]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPAddress | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=4096)
def _network(text: str) -> IPNetwork:
    return ip_network(text)


def _within(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(address in network for network in networks)
