"""Every way to ask sends what its dialect reads, for the very route and token of the walk."""

from pathlib import Path

import pytest

from bench.cast import ALL_DIALECTS
from bench.workload import HOST, REFUSED, WAYS, path, token, write_script
from extauthz.wire.http.asgi import DIALECTS
from extauthz.wire.http.metadata import vocabulary


@pytest.mark.parametrize("way", ALL_DIALECTS)
def test_a_script_asks_as_the_gateway_of_its_dialect_does(way: str) -> None:
    """Read by the dialect's own decoder: method, path, host and token."""
    before, after = WAYS[way]
    line, *lines = f"{before}{path(1, 2)}{after}\r\nAuthorization: Bearer {token(1)}".split("\r\n")
    headers = [(name.lower().encode(), value.encode()) for name, value in (each.split(": ", 1) for each in lines)]
    method, target, _ = line.split(" ")
    scope = {"method": method, "raw_path": target.encode(), "query_string": b"", "headers": headers}
    dialect = DIALECTS[way]
    request = dialect.decode(scope, vocabulary(dialect.metadata))
    assert (request.method, request.target, request.host) == ("GET", path(1, 2), HOST)
    assert (request.authorization, request.flaw) == ((f"Bearer {token(1)}",), None)


@pytest.mark.parametrize("way", WAYS)
def test_a_script_is_complete(way: str, tmp_path: Path) -> None:
    """No word of the template is left in it, and line ends are Lua's to make."""
    write_script(tmp_path / "walk.lua", way)
    text = (tmp_path / "walk.lua").read_text(encoding="utf-8")
    assert not any(word in text for word in ("TOKENS", "ROUTES", "BEFORE", "AFTER", "\r"))
    assert token(999) in text


def test_all_tokens_are_as_long() -> None:
    """Messages differ in bytes and not in length."""
    assert {len(each) for each in (token(0), token(999_999), REFUSED)} == {43}
