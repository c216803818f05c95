"""What the schema finds is said in words for an operator, without repeating a secret."""

import pytest
from pydantic import BaseModel

from extauthz.config.credentials import Client, SecretSource
from extauthz.config.document import Path
from extauthz.config.policy_schema import PolicyFile, RouteEntry
from extauthz.config.scopes import AnyOf
from extauthz.config.sentences import section_at
from extauthz.config.service_schema import AuthorizationServer, ServiceFile
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml

JARGON = (
    "Input should",
    "validation error",
    "Value error",
    "pydantic",
    "tuple",
    "dict",
    "literal",
    "NoneType",
    "input_",
)


@pytest.mark.parametrize(
    ("model", "path", "section"),
    [
        (ServiceFile, (), ServiceFile),
        (ServiceFile, ("authorization_servers", "main"), AuthorizationServer),
        (ServiceFile, ("authorization_servers", "client"), AuthorizationServer),
        (ServiceFile, ("authorization_servers", "listen", "client"), Client),
        (ServiceFile, ("authorization_servers", "main", "client", "secret"), SecretSource),
        (PolicyFile, ("routes", 3), RouteEntry),
        (PolicyFile, ("routes", 3, "scopes"), AnyOf),
    ],
)
def test_a_path_leads_to_its_section(model: type[BaseModel], path: Path, section: type[BaseModel]) -> None:
    """Names that operators choose are not mistaken for keys of ours."""
    assert section_at(model, path) is section


def test_what_must_be_a_list_is_told_how_one_is_written() -> None:
    """A mapping of names to routes is what other programs have."""
    _, faults = validate(PolicyFile, read_yaml(b"version: 1\nroutes: {orders: {path: /orders, scopes: []}}", "f"))
    assert [fault.message for fault in faults] == ["this must be a list: write '- ' before each entry"]


@pytest.mark.parametrize("value", ["42", "text", "true", "[a]", "[[a]]", "{a: b}", "{any_of: a}", "''", "-1"])
@pytest.mark.parametrize("key", [*RouteEntry.model_fields, "no_such_key"])
def test_no_value_of_any_key_brings_up_jargon(key: str, value: str) -> None:
    """Whatever is written wherever, the sentence is one of ours."""
    keys = {"name": "a", "path": "/a", "scopes": "[]", key: value}
    text = "version: 1\nroutes:\n  - {" + ", ".join(f"{name}: {written}" for name, written in keys.items()) + "}"
    _, faults = validate(PolicyFile, read_yaml(text.encode(), "f"))
    for fault in faults:
        assert not [word for word in JARGON if word in fault.message]
        assert fault.line == 3


@pytest.mark.parametrize("value", ["42", "text", "true", "[a]", "{a: b}", "''"])
@pytest.mark.parametrize("key", [*ServiceFile.model_fields, "no_such_key"])
def test_the_same_holds_for_the_service(key: str, value: str) -> None:
    """Sections are sections, lists are lists."""
    _, faults = validate(ServiceFile, read_yaml(f"{key}: {value}".encode(), "f", private=True))
    assert not [word for word in JARGON for fault in faults if word in fault.message]
