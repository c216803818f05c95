"""The types of the fields accept what the table says and nothing beside it."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from extauthz.config import fields, scopes

GOOD: list[tuple[Any, object, object]] = [
    (fields.Flag, True, True),
    (fields.Workers, 256, 256),
    (fields.Timeout, "10ms", 0.01),
    (fields.Timeout, "30s", 30.0),
    (fields.Leeway, "0s", 0.0),
    (fields.Lifetime, "0s", 0.0),
    (fields.CacheBytes, "1MiB", 1024**2),
    (fields.CacheBytes, "2GiB", 2 * 1024**3),
    (fields.CacheBytes, "2048KiB", 2 * 1024**2),
    (fields.Variable, "CLIENT_SECRET_2", "CLIENT_SECRET_2"),
    (fields.AuditPath, "off", "off"),
    (fields.AuditPath, "/var/log/audit.jsonl", "/var/log/audit.jsonl"),
    (fields.Version, 1, 1),
    (fields.RuleName, "read-orders.v2", "read-orders.v2"),
    (fields.RuleName, "2fa", "2fa"),
    (fields.RoutePath, "/orders/{id}/**", "/orders/{id}/**"),
    (fields.Host, "API.example.com", "api.example.com"),
    (fields.Host, "*.example.com", "*.example.com"),
    (fields.Methods, ["GET", "M-SEARCH"], ("GET", "M-SEARCH")),
    (fields.ScopeList, [], ()),
    (fields.ScopeList, ["no", "orders:read"], ("no", "orders:read")),
    (fields.HeaderName, "x-auth-sub", "x-auth-sub"),
    (fields.Claim, "client_id", "client_id"),
    (fields.Claim, "token_kind", "token_kind"),
    (fields.Realm, "x" * 256, "x" * 256),
    (fields.ScopeList, ["x" * 512, "y" * 511], ("x" * 512, "y" * 511)),
    (fields.Texts, ["https://a.example", "b c"], ("https://a.example", "b c")),
    (fields.Freshness, "live", 0.0),
    (fields.Freshness, "default", None),
    (fields.Freshness, "10s", 10.0),
    (fields.EdgeCache, "0s", 0),
    (fields.EdgeCache, "5m", 300),
]

BAD: list[tuple[Any, object, str, str]] = [
    (fields.CacheBytes, 1_000_000, "a number with a unit", ""),
    (fields.CacheBytes, "64MB", "a number with a unit", ""),
    (fields.CacheBytes, "-1MiB", "a number with a unit", ""),
    (fields.CacheBytes, "1023KiB", "1MiB or more", ""),
    (fields.Flag, "no", "true or false", ""),
    (fields.Flag, "True", "true or false", "true"),
    (fields.Flag, 1, "true or false", ""),
    (fields.Workers, 0, "from 1 to 256", ""),
    (fields.Workers, 257, "from 1 to 256", ""),
    (fields.Workers, True, "from 1 to 256", ""),
    (fields.Workers, "2", "from 1 to 256", ""),
    (fields.Timeout, "9ms", "from 10ms to 30s", ""),
    (fields.Timeout, "31s", "from 10ms to 30s", ""),
    (fields.Leeway, "301s", "from 0s to 300s", ""),
    (fields.Lifetime, "25h", "from 0s to 24h", ""),
    (fields.Variable, "not a name", "environment variable", ""),
    (fields.ServerName, "Main", "lower-case", "main"),
    (fields.ServerName, "2nd", "starting with a letter", ""),
    (fields.AuditPath, "stdot", "stdout, stderr, off", "stdout"),
    (fields.Version, 2, "version: 1", ""),
    (fields.Version, True, "version: 1", ""),
    (fields.Version, "1", "version: 1", ""),
    (fields.RuleName, "Read", "lower-case", "read"),
    (fields.RuleName, 42, "quotes", '"42"'),
    (fields.Realm, "é", "printable ASCII", ""),
    (fields.RoutePath, "orders", "starts with /", ""),
    (fields.RoutePath, "/a/*", "write {name}", ""),
    (fields.RoutePath, "/a?b=c", "leave out ?", "/a"),
    (fields.RoutePath, "/a/../b", "ambiguous", ""),
    (fields.Host, "example.com:443", "without port", ""),
    (fields.Methods, ["get"], "upper case", "GET"),
    (fields.Methods, ["GET", "PUT", "GET"], "twice", ""),
    (fields.Methods, [], "at least one method", ""),
    (fields.ScopeList, ["a b"], "one ASCII word", "a, b"),
    (fields.ScopeList, ["a", "a"], "twice", ""),
    (scopes.Alternatives, [], "at least one list", ""),
    (scopes.Alternatives, [["a"], []], "scopes: []", ""),
    (fields.HeaderName, "X_Auth_Sub", "lower-case", "x-auth-sub"),
    (fields.HeaderName, "authorization", "meaning of its own", ""),
    (fields.Claim, "Sub", "name a claim", "sub"),
    (fields.Claim, "two words", "name a claim", ""),
    (fields.Realm, "x" * 257, "at most 256 characters", ""),
    (fields.ScopeList, ["x" * 512, "y" * 512], "at most 1024 characters together", ""),
    (fields.Texts, [], "at least one", ""),
    (fields.Texts, ["a", "a"], "twice", ""),
    (fields.Freshness, "liv", "live, default", "live"),
    (fields.Freshness, 10, "live, default", ""),
    (fields.Freshness, "25h", "at most 24h", ""),
    (fields.EdgeCache, "1500ms", "whole seconds", ""),
    (fields.EdgeCache, "301s", "from 0s to 300s", ""),
    (fields.EdgeCache, 5, "write a unit", ""),
]


@pytest.mark.parametrize(("kind", "written", "value"), GOOD)
def test_what_is_written_as_described_is_read(kind: Any, written: object, value: object) -> None:  # noqa: ANN401 - any annotated type
    """Each field takes its values up to its bounds."""
    assert TypeAdapter(kind).validate_python(written) == value


@pytest.mark.shows("S43")
@pytest.mark.parametrize(("kind", "written", "words", "hint"), BAD)
def test_what_is_not_is_refused_with_a_sentence(kind: Any, written: object, words: str, hint: str) -> None:  # noqa: ANN401 - any annotated type
    """Each refusal says what to write, and what was probably meant."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(written)
    (error,) = refused.value.errors()
    assert words in str(error["ctx"]["error"])
    assert getattr(error["ctx"]["error"], "hint", "") == hint
