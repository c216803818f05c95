"""The models of both files are complete, closed and unchangeable."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from extauthz.config.policy_schema import PolicyFile, RouteEntry
from extauthz.config.section import Section
from extauthz.config.service_schema import Cache, ServiceFile

SERVER = {
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
}
SERVICE = {
    "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
    "policy": "policy.yaml",
    "authorization_servers": {"main": SERVER},
}


def sections(annotation: object) -> Iterator[type[BaseModel]]:
    """Every section below an annotation, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(annotation):
        yield from sections(argument)


ALL = sorted({*sections(ServiceFile), *sections(PolicyFile)}, key=lambda section: section.__name__)


@pytest.mark.parametrize("section", ALL)
def test_every_section_is_closed_and_frozen(section: type[BaseModel]) -> None:
    """No section takes keys that nobody reads, and none changes after it was judged."""
    assert issubclass(section, Section)
    assert section.model_config["extra"] == "forbid"
    assert section.model_config["frozen"] is True


@pytest.mark.parametrize("section", ALL)
def test_every_required_key_has_an_example(section: type[BaseModel]) -> None:
    """Whoever forgets a key is shown how it is written."""
    assert all(field.examples for field in section.model_fields.values() if field.is_required())


def test_what_is_left_out_has_the_documented_default() -> None:
    """A short file is a safe file."""
    service = ServiceFile.model_validate(SERVICE)
    server = service.authorization_servers["main"]
    assert (service.grpc_server, service.workers, service.drain_delay) == ("h2corn", 1, 5.0)
    assert (service.trusted_proxies, service.audit.path) == ((), "stdout")
    assert (service.log.level, service.log.format) == ("info", "json")
    assert (server.issuer, server.timeout, server.leeway, server.max_connections) == (None, 0.5, 60.0, 100)
    assert server.client is not None
    assert (server.token_type_hint, server.client.auth, server.mode) == ("access_token", None, "introspect")
    assert server.cache == Cache(ttl="60s", negative_ttl="10s", max_entries=100_000)  # type: ignore[arg-type] # as it is written
    assert server.unsafe_allow_plain_http is False
    policy = PolicyFile.model_validate({"version": 1, "routes": [{"name": "a", "path": "/a", "scopes": []}]})
    assert policy.realm == "api"
    assert policy.defaults.identity_headers == {"x-auth-sub": "sub", "x-auth-scope": "scope"}


@pytest.mark.shows("S23", "N21")
@pytest.mark.parametrize(
    "change",
    [
        {"grpc_server": "grpcio", "listen": {**SERVICE["listen"], "grpc": "127.0.0.1:9193"}},  # type: ignore[dict-item] # a mapping
        {"trusted_proxies": ["0.0.0.0/0", "::/0"], "unsafe_trust_everyone": True},
        {
            "authorization_servers": {
                "main": {**SERVER, "introspection_endpoint": "http://as:80/x", "unsafe_allow_plain_http": True}
            }
        },
        {"authorization_servers": {"main": {**SERVER, "introspection_endpoint": "http://127.0.0.1/x"}}},
        {
            "authorization_servers": {
                "main": {"client": SERVER["client"], "discovery": True, "issuer": "https://as.example.com"}
            }
        },
    ],
)
def test_what_needs_a_second_key_is_accepted_with_it(change: dict[str, Any]) -> None:
    """Unsafe things are possible, under unsafe names."""
    service = ServiceFile.model_validate({**SERVICE, **change})
    assert service.model_fields_set >= change.keys()


@pytest.mark.parametrize("scopes", [None, [], ["a"], {"any_of": [["a"]]}])
@pytest.mark.parametrize("allow", [None, "anonymous"])
def test_a_route_says_once_who_may_pass(scopes: object, allow: object) -> None:
    """Neither means nobody thought of it; both means nobody knows."""
    said = {key: value for key, value in (("scopes", scopes), ("allow", allow)) if value is not None}
    route = {"name": "a", "path": "/a", **said}
    if len(said) == 1:
        assert RouteEntry.model_validate(route).model_fields_set == route.keys()
    else:
        with pytest.raises(ValidationError):
            RouteEntry.model_validate(route)


def test_the_schema_can_be_published_for_editors() -> None:
    """Both files have a JSON Schema that knows all keys."""
    assert set(PolicyFile.model_json_schema()["properties"]) == {
        "version",
        "include",
        "realm",
        "defaults",
        "scopes",
        "scope_implies",
        "scope_sets",
        "routes",
    }
    assert "authorization_servers" in ServiceFile.model_json_schema()["required"]
