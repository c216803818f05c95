"""The schemas for editors know every key and refuse what they can; nothing in them is null, which is a fault here."""

import json
import re
from typing import Any

import pytest

from extauthz.config.policy_schema import RouteEntry
from extauthz.policy_tools.schema import FILES, json_schema


def mappings(schema: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Every mapping in it, at any depth."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return [*([schema] if isinstance(schema, dict) else []), *(each for one in inner for each in mappings(one))]


@pytest.mark.parametrize("file", FILES)
def test_each_file_has_a_schema_that_knows_all_its_keys(file: str) -> None:
    """And no others; every reference leads somewhere."""
    schema = json_schema(file)
    assert schema["properties"].keys() == FILES[file].model_fields.keys()
    assert schema["additionalProperties"] is False
    references = {each["$ref"] for each in mappings(schema) if isinstance(each.get("$ref"), str)}
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}
    assert '"null"' not in json.dumps(schema)


def test_keys_that_are_called_like_words_of_json_schema_stay() -> None:
    """`default` and `title` are noise only where they are words of the schema."""
    assert set(json_schema("policy")["$defs"]["RouteEntry"]["properties"]) == set(RouteEntry.model_fields)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("name", "read-orders", "Read"),
        ("path", "/orders/{id}", "orders"),
        ("freshness", "live", "5"),
        ("edge_cache", "5s", "5"),
    ],
)
def test_what_a_pattern_can_say_is_said(key: str, good: str, bad: str) -> None:
    """The editor marks it while it is typed."""
    pattern = json_schema("policy")["$defs"]["RouteEntry"]["properties"][key]["pattern"]
    assert re.search(pattern, good)
    assert not re.search(pattern, bad)


def test_examples_are_values() -> None:
    """As an editor would put them there."""
    assert json_schema("policy")["$defs"]["RouteEntry"]["properties"]["path"]["examples"] == ["/orders/{id}"]
