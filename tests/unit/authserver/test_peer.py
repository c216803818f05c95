"""Where a request comes from."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from extauthz.authserver.peer import counted_as, is_within, peer_address, shown

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("connection", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # anyone can write this header
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),  # the first was invented
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_only_trusted_proxies_are_believed(connection: str, forwarded: list[str], address: str) -> None:
    """The address is the nearest one that no trusted proxy has."""
    scope = {"client": (connection, 1), "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}
    assert peer_address(scope, PROXIES) == ip_address(address)
    assert shown(peer_address(scope, PROXIES)) == address


def test_without_proxies_no_header_is_read() -> None:
    """No header moves an address unless a proxy is trusted; a Unix socket has none of its own."""
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    assert peer_address({"client": ("10.0.0.1", 1), "headers": headers}, ()) == ip_address("10.0.0.1")
    assert peer_address({"client": None, "headers": headers}, ()) is None
    assert shown(None) == "unix"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [([], "unix"), (["192.0.2.66, 198.51.100.1, 10.0.0.2"], "198.51.100.1"), (["nonsense"], "unix")],
)
def test_who_may_open_our_socket_is_a_proxy_where_any_is_trusted(forwarded: list[str], address: str) -> None:
    """It says whom it speaks for, as one over the network does."""
    scope = {"client": None, "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}
    assert shown(peer_address(scope, PROXIES)) == address


def test_networks_contain_addresses() -> None:
    """An address of either family lies in a network of its own; none lies in no network."""
    assert is_within(ip_address("10.1.2.3"), ("192.0.2.0/24", "10.0.0.0/8"))
    assert not is_within(ip_address("2001:db8::1"), ("10.0.0.0/8",))
    assert not is_within(None, ("0.0.0.0/0",))


def test_ipv6_is_counted_by_subscriber() -> None:
    """Who has a /64 has no more attempts than who has one IPv4 address."""
    assert counted_as(ip_address("2001:db8::1")) == counted_as(ip_address("2001:db8::ffff:2")) == "2001:db8::/64"
    assert counted_as(ip_address("192.0.2.1")) == "192.0.2.1"
