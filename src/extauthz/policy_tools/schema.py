"""JSON Schemas of the files that operators write, for editors. They are looser than we are: the last word has `check`."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from extauthz.config.policy_schema import PolicyFile
from extauthz.config.service_schema import ServiceFile
from extauthz.policy_tools.suite_file import SuiteFile

FILES: Mapping[str, type[BaseModel]] = {"policy": PolicyFile, "service": ServiceFile, "tests": SuiteFile}
"""What each schema is of: policy.yaml, extauthz.yaml, and files of `extauthz policy test`."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
_NAMES_OF_KEYS = ("properties", "$defs")


def json_schema(file: str) -> dict[str, Any]:
    """The schema of one of `FILES` (JSON Schema 2020-12)."""
    schema = _plain(FILES[file].model_json_schema())
    return {"$schema": _DIALECT, "title": f"extauthz {file} file", **schema}


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Without titles that repeat the key, and without null: an empty value is a fault here. Examples become values."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema if each != _NULL]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _value(name, value) for name, value in schema.items() if not _is_noise(name, value)}
    either = plain.get("anyOf")
    if isinstance(either, list) and len(either) == 1:
        del plain["anyOf"]
        plain = {**either[0], **plain}
    return plain


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if name in _NAMES_OF_KEYS:
        return {key: _plain(each) for key, each in value.items()}
    if name == "examples":
        return [yaml.safe_load(each) for each in value]
    return value if name == "default" else _plain(value)


def _is_noise(name: str, value: object) -> bool:
    return name == "title" or (name == "default" and value is None)
