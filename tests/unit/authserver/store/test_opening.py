"""From a URL to a store."""

from __future__ import annotations

import importlib.util

import pytest

from extauthz.authserver.store.opening import open_store
from extauthz.authserver.store.postgres import PostgresStore
from extauthz.authserver.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///as.db", SqliteStore),
        ("sqlite:////var/lib/as.db", SqliteStore),
        ("postgresql://as@db/as", PostgresStore),
        ("postgres://as@db/as", PostgresStore),
    ],
)
def test_the_scheme_names_the_kind(url: str, kind: type) -> None:
    """A store is made, and nothing is opened."""
    assert type(open_store(url)) is kind


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://as.db", "a store is"),
        ("mysql://root:hunter2@db", "a store is"),
        ("", "a store is"),
    ],
)
def test_any_other_url_is_refused_without_its_password(url: str, message: str) -> None:
    """The message says what to write, not what was written."""
    with pytest.raises(ValueError, match=message) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed the extra is told its name."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"extauthz\[postgresql\]"):
        open_store("postgresql://as@db/as")
