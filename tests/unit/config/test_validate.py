"""A document is judged as a whole: all of its faults, once each."""

import pytest

from extauthz.config.document import Document
from extauthz.config.policy_schema import PolicyFile
from extauthz.config.service_schema import ServiceFile
from extauthz.config.validate import (
    check_names,
    check_servers,
    described_servers,
    sound_policy,
    sound_secrets,
    validate,
)
from extauthz.config.yaml_source import read_yaml

POLICY = b"""\
version: 1
routes:
  - {name: a, path: /a, scopes: []}
  - {name: b, path: b, scopes: []}
  - {name: a, path: /c, scopes: [], authorization_server: mian}
"""
GOOD = POLICY.replace(b"path: b", b"path: /b")


def test_a_file_is_a_value_or_has_faults() -> None:
    """Never both, so that nobody uses a file with faults."""
    value, faults = validate(PolicyFile, read_yaml(GOOD, "f"))
    assert value is not None
    assert faults == ()
    value, faults = validate(PolicyFile, read_yaml(POLICY, "f"))
    assert value is None
    assert len(faults) == 1


def test_a_duplicate_key_alone_refuses_the_file() -> None:
    """Also where the rest of the file would do."""
    value, faults = validate(PolicyFile, read_yaml(b"realm: a\n" + GOOD + b"realm: b\n", "f"))
    assert value is None
    assert [fault.line for fault in faults] == [7]


def test_an_empty_value_is_one_fault() -> None:
    """It is not at the same time a value of the wrong type."""
    _, faults = validate(PolicyFile, read_yaml(b"version:\nroutes:\n  - {name: a, path: /a, scopes: }\n", "f"))
    assert [(fault.line, fault.message.split(":")[0]) for fault in faults] == [
        (1, "nothing is written here"),
        (3, "nothing is written here"),
    ]


def test_a_misspelt_key_is_one_fault() -> None:
    """The right one is not reported missing as well."""
    _, faults = validate(PolicyFile, read_yaml(GOOD.replace(b"version", b"vresion"), "f"))
    assert [(fault.message, fault.hint) for fault in faults] == [("unknown key", "version")]


def test_sound_routes_are_judged_beside_broken_ones() -> None:
    """One broken route does not hide what others do."""
    document = read_yaml(POLICY, "f")
    policy = sound_policy(None, document)
    assert [(index, entry.name) for index, entry in policy.entries] == [(0, "a"), (2, "a")]
    assert [(fault.line, fault.column) for fault in check_names(document)] == [(5, 12)]
    assert [fault.hint for fault in check_servers(policy, document, ["main"])] == ["main"]


def test_each_server_of_a_list_is_judged() -> None:
    """The fault is at the one that nobody described."""
    document = read_yaml(GOOD.replace(b"mian", b"[main, mian]"), "f")
    policy = sound_policy(None, document)
    (fault,) = check_servers(policy, document, ["main"])
    assert (fault.line, fault.column, fault.hint) == (5, 66, "main")


@pytest.mark.shows("S45")
def test_what_a_scope_implies_is_followed_to_the_end() -> None:
    """Once, when the file is read."""
    written = {
        "version": 1,
        "scope_implies": {"a": ["b"], "b": ["c"]},
        "routes": [{"name": "r", "path": "/r", "scopes": []}],
    }
    policy = sound_policy(PolicyFile.model_validate(written), Document(file="policy.yaml"))
    assert policy.implications == {"a": {"b", "c"}, "b": {"c"}}


def test_servers_are_not_judged_when_none_is_described() -> None:
    """That is a fault of the other file, not of every route."""
    document = read_yaml(POLICY, "f")
    assert check_servers(sound_policy(None, document), document, []) == []


def test_secrets_are_found_in_a_file_with_faults() -> None:
    """A missing variable is reported together with a misspelt key."""
    text = b"authorization_servers: {a: {client: {secret: {env: A}}}, b: {client: {secret: x}}, c: 1}\nx: 1"
    document = read_yaml(text, "f", private=True)
    assert validate(ServiceFile, document)[0] is None
    assert described_servers(document) == ("a", "b", "c")
    assert [(path[1], source.env) for path, source in sound_secrets(document)] == [("a", "A")]
