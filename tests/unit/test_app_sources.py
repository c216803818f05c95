"""A server has a source for each mode that it is equipped for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.app_server import ServerParts
from extauthz.app_sources import sources_of, staleness
from extauthz.config.load import load_service
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Source
from extauthz.resolver.hybrid import Comparing, JwtOnly, JwtThenIntrospect
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_cache import SharedCache
from extauthz.testing import RecordingObserver, TickingClock

SERVER: dict[str, Any] = {
    "issuer": "https://as.example.com",
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "rs", "secret": {"env": "CLIENT_SECRET"}},
    "cache": {"ttl": "60s"},
}
JWT: dict[str, Any] = {"jwks_uri": "https://as.example.com/jwks", "audience": ["https://api.example.com"]}


class Memory:
    """Makes caches, and remembers what for."""

    def __init__(self) -> None:
        self.made: dict[str, ServerSettings] = {}

    def cache(self, settings: ServerSettings) -> TokenCache:
        self.made[settings.name] = settings
        return TokenCache(settings, secret=b"k" * 32, monotonic=TickingClock(), wall=TickingClock())

    def shared(self, settings: ServerSettings, cache: TokenCache) -> SharedCache | None:
        assert settings.mode != "jwt", "a signature needs no cache that processes share"
        return None


Parts = Callable[..., ServerParts]
Built = Callable[..., tuple[dict[str, Source], dict[str, ServerSettings]]]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Reads a server as a file has it."""

    def read(**server: Any) -> ServerParts:  # noqa: ANN401 - as a file has it
        written = {key: value for key, value in {**SERVER, **server}.items() if value is not None}
        service = {
            "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
            "policy": "policy.yaml",
            "authorization_servers": {"main": written},
        }
        (tmp_path / "policy.yaml").write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
        (tmp_path / "extauthz.yaml").write_text(yaml.safe_dump(service))
        config = load_service(tmp_path / "extauthz.yaml", {"CLIENT_SECRET": "s3cret"})
        section, secret = config.settings.authorization_servers["main"], config.secrets.get("main")
        return ServerParts("main", section, RecordingObserver(), secret=secret, folder=tmp_path)

    return read


@pytest.fixture
def built(parts: Parts) -> Built:
    """Builds the sources of a server, and the settings that their caches were made for."""

    def build(**server: Any) -> tuple[dict[str, Source], dict[str, ServerSettings]]:  # noqa: ANN401 - as a file has it
        memory = Memory()
        return {source.name: source for source in sources_of(parts(**server), RecordingObserver(), memory)}, memory.made

    return build


def test_a_server_that_is_asked_has_one_source(built: Built) -> None:
    """Without keys there is no other mode."""
    sources, made = built()
    assert set(sources) == {"main"}
    assert sources["main"].local is None
    assert made["main"].mode == "introspect"


def test_a_server_with_keys_has_a_source_for_each_mode(built: Built) -> None:
    """Its own mode under its own name, the others beside it."""
    sources, made = built(jwt=JWT, mode="jwt_then_introspect")
    assert set(sources) == {"main", "main:jwt", "main:introspect"}
    assert isinstance(sources["main"].local, JwtThenIntrospect)
    assert isinstance(sources["main"].client, Comparing)
    assert isinstance(sources["main:jwt"].local, JwtOnly)
    assert sources["main:introspect"].local is None
    assert {name: settings.mode for name, settings in made.items()} == {
        "main": "jwt_then_introspect",
        "main:jwt": "jwt",
        "main:introspect": "introspect",
    }


def test_a_server_without_a_client_judges_jwts_alone(built: Built) -> None:
    """There is nobody to ask."""
    sources, _ = built(jwt=JWT, mode="jwt", client=None, introspection_endpoint=None)
    assert set(sources) == {"main"}
    assert isinstance(sources["main"].local, JwtOnly)


def test_modes_do_not_share_what_they_remember(built: Built) -> None:
    """Nor would they in a cache that processes share."""
    sources, _ = built(jwt=JWT)
    keys = {source.cache.key(Token("t")) for source in sources.values()}
    assert len(keys) == len(sources) == 3


@pytest.mark.parametrize(("written", "ttl"), [({}, 60.0), ({"revalidate": "5s"}, 5.0)])
def test_the_server_s_word_is_asked_for_again_after_a_time(built: Built, written: dict[str, str], ttl: float) -> None:
    """Its own where that is written."""
    _, made = built(jwt=JWT | written)
    assert (made["main"].ttl, made["main:jwt_then_introspect"].ttl) == (60.0, ttl)


HYBRID = {"mode": "jwt_then_introspect", "cache": {"ttl": "60s", "stale_if_error": "300s"}}


@pytest.mark.parametrize(
    ("server", "bound"),
    [
        ({}, (60.0, 60.0)),
        ({"cache": {"ttl": "60s", "stale_if_error": "300s"}}, (60.0, 360.0)),
        ({"jwt": JWT, "mode": "jwt"}, None),
        ({"jwt": JWT, "mode": "jwt", "client": None, "introspection_endpoint": None}, None),
        ({**HYBRID, "jwt": JWT}, (60.0, 360.0)),
        ({**HYBRID, "jwt": JWT | {"revalidate": "90s"}}, (90.0, 390.0)),
        ({**HYBRID, "jwt": JWT | {"revalidate": "5s"}}, (60.0, 360.0)),
        (
            {**HYBRID, "jwt": JWT | {"on_introspection_error": "local", "max_local_age": "900s"}},
            (60.0, 900.0),
        ),
    ],
)
def test_no_word_of_a_server_grows_older_than_is_said(
    parts: Parts, server: dict[str, Any], bound: tuple[float, float] | None
) -> None:
    """While it answers, and while it does not."""
    assert staleness(parts(**server)) == bound
