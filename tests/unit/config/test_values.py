"""Durations, addresses, URLs and ranges mean what they say, or are refused with a sentence."""

import pytest

from extauthz.config.values import (
    Address,
    Misfit,
    check_url,
    on_loopback,
    parse_address,
    parse_duration,
    parse_network,
    parse_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10ms", 0.01), ("1s", 1.0), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3600.0), ("0s", 0.0)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    """Milliseconds are milliseconds and hours are hours."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", [500, 0, True, "500", "0.5"])
def test_a_number_without_unit_is_no_duration(value: object) -> None:
    """Nobody has to guess whether 500 are seconds."""
    with pytest.raises(Misfit, match="write a unit, such as 500ms"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["", "s", "-5s", "1d", "1m30s", "1e3s", "5 seconds", ".5s", "\u0661s", [], None])
def test_anything_else_is_no_duration(value: object) -> None:
    """The sentence names the units."""
    with pytest.raises(Misfit, match=r"ms, s, m or h"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["5 s", "5S", "5 S"])
def test_a_duration_with_space_or_capital_is_understood_but_not_accepted(text: str) -> None:
    """There is one spelling, and a hint that shows it."""
    with pytest.raises(Misfit) as refused:
        parse_duration(text)
    assert refused.value.hint == "5s"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9191", Address(host="127.0.0.1", port=9191)),
        ("[::1]:9191", Address(host="::1", port=9191)),
        ("0.0.0.0:65535", Address(host="0.0.0.0", port=65535)),
        ("unix:/run/extauthz.sock", Address(path="/run/extauthz.sock")),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    """What is read can be shown again in the same words."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("localhost:9191", "127.0.0.1:9191"),
        (":9191", "0.0.0.0:9191"),
        ("*:9191", "0.0.0.0:9191"),
        (9191, "127.0.0.1:9191"),
        ("9191", "127.0.0.1:9191"),
        ("127.0.0.1", ""),
        ("127.0.0.1:0", ""),
        ("127.0.0.1:65536", ""),
        ("127.0.0.256:1", ""),
        ("[127.0.0.1:1", ""),
        ("::1:9191", ""),
        ("http://127.0.0.1:9191", ""),
        ("unix:run/x.sock", ""),
        ("unix:/" + "x" * 107, ""),
    ],
)
def test_what_is_no_address_is_refused(text: object, hint: str) -> None:
    """Names are not looked up, ports are in range, sockets have a path that Linux takes."""
    with pytest.raises(Misfit) as refused:
        parse_address(text)
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    "url", ["https://as.example.com/oauth2/introspect", "http://127.0.0.1:9190/x", "https://[::1]:8443", "HTTPS://a/b"]
)
def test_a_url_with_host_and_path_is_kept_as_it_is(url: str) -> None:
    """An issuer is compared byte for byte."""
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("as.example.com/introspect", "whole URL"),
        ("ftp://as.example.com", "whole URL"),
        ("https://", "whole URL"),
        ("https:///path", "whole URL"),
        ("https://as.example.com:port/", "whole URL"),
        ("https://as.example.com:0/", "whole URL"),
        ("https://[::1/", "whole URL"),
        ("https://as.example.com/a b", "whole URL"),
        ("https://as.example.com\\@evil.example", "whole URL"),
        ("https://user:password@as.example.com/", "no user name or password"),
        ("https://as.example.com/?key=1", "before ? or #"),
        ("https://as.example.com/?", "before ? or #"),
        ("https://as.example.com/#", "before ? or #"),
    ],
)
def test_a_url_that_could_carry_a_credential_is_refused(url: str, words: str) -> None:
    """Neither user nor query nor fragment."""
    with pytest.raises(Misfit) as refused:
        check_url(url)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost/x", True),
        ("http://127.8.9.1:80/x", True),
        ("http://[::1]/x", True),
        ("http://localhost.example.com/x", False),
        ("http://10.0.0.1/x", False),
        ("http://127.0.0.1.example.com/x", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(url: str, here: bool) -> None:
    """A name is no loopback address because it starts like one."""
    assert on_loopback(url) is here


def test_a_network_has_no_host_bits() -> None:
    """10.1.2.3/8 may mean two things; the hint shows the likely one."""
    assert str(parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(parse_network("fd00::/8")) == "fd00::/8"
    with pytest.raises(Misfit) as refused:
        parse_network("10.1.2.3/8")
    assert refused.value.hint == "10.0.0.0/8"
    with pytest.raises(Misfit):
        parse_network("gateway.example.com")


@pytest.mark.parametrize(("value", "words"), [(42, "quotes"), (True, "quotes"), ("", "one or more"), ([], "one piece")])
def test_text_is_text(value: object, words: str) -> None:
    """A number is not silently made text."""
    with pytest.raises(Misfit, match=words):
        parse_text(value)


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\ud800", "a\u202eb"])
def test_text_has_no_invisible_characters(text: str) -> None:
    """Neither a path nor a log line is cut or turned around by a value."""
    with pytest.raises(Misfit):
        parse_text(text)
