"""The faults that the schema finds, in sentences for an operator.

A secret that stands where it should not must not be repeated. Nothing in a section that names secrets, or of a key for a
secret, is ever shown, nor text that may be a URL with credentials in it, nor the value of a key that nobody knows.
"""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from extauthz.config.document import Document, Path
from extauthz.config.faults import Fault, nearest
from extauthz.config.policy_schema import UNION_TAGS
from extauthz.config.values import Misfit, Missing

_KEY = "[key]"
_ENTRIES = ": write '- ' before each entry"
_QUOTED = re.compile(r"'([^']*)'")
_SECRETS = frozenset({"secret", "store_password", "webhook_token", "password", "redis_password"})
_MAY_HOLD_CREDENTIALS = re.compile(r"[@?]")


def path_of(error: ErrorDetails) -> Path:
    """The path in the document that an error is about. It need not exist there: something may be missing."""
    return tuple(part for part in error["loc"] if part not in UNION_TAGS and part != _KEY)


def describe(error: ErrorDetails, model: type[BaseModel], document: Document) -> Fault:
    """One fault that validation found, with its place in the document."""
    path = path_of(error)
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(path, model, document)
        case "missing":
            return _missing_key(path, model, document)
        case "literal_error":
            known = _QUOTED.findall(error["ctx"]["expected"])
            written = document.at(path)
            hint = nearest(written, known) if isinstance(written, str) else ""
            return _fault(document, path, f"write {_either(known)}", hint=hint)
        case "value_error":
            return _misfit(error["ctx"]["error"], path, model, document, on_key=error["loc"][-1] == _KEY)
        case "tuple_type":
            written = _as_written(document.at(path))
            hint = f"[{', '.join(written.split())}]" if written else ""
            return _fault(document, path, f"this must be a list{'' if hint else _ENTRIES}", hint=hint)
        case _:
            return _fault(document, path, "this must be a mapping of keys and values", value="")


def section_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The innermost section that a path leads through. Every key leads to one kind of section at most."""
    kinds: list[object] = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model


def _inside(kind: object, part: str | int) -> Iterator[object]:
    """What a value of this kind holds under a key, or at a place in a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        yield from () if field is None else _kinds(field.annotation)
    elif get_origin(kind) is (tuple if isinstance(part, int) else dict):
        yield from _kinds(get_args(kind)[0 if isinstance(part, int) else 1])


def _kinds(annotation: object) -> Iterator[object]:
    """What a value may be."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        yield from (kind for each in get_args(annotation) for kind in _kinds(each))
    else:
        yield annotation


def _unknown_key(path: Path, model: type[BaseModel], document: Document) -> Fault:
    fields = section_at(model, path[:-1]).model_fields
    known = [field.alias or name for name, field in fields.items()]
    key = str(path[-1])
    hint = nearest(key, known)
    message = "unknown key" if hint else f"unknown key: known here are {', '.join(known)}"
    return _fault(document, path, message, hint=hint, on_key=True, value=key)


def _missing_key(path: Path, model: type[BaseModel], document: Document) -> Fault:
    key = str(path[-1])
    example = (section_at(model, path[:-1]).model_fields[key].examples or [""])[0]
    return _fault(document, path[:-1], f"{key} is missing: write {key}: {example}", on_key=True, value="")


def _misfit(error: ValueError, path: Path, model: type[BaseModel], document: Document, *, on_key: bool) -> Fault:
    hint, at = (error.hint, error.at) if isinstance(error, Misfit) else ("", ())
    if isinstance(error, Misfit) and error.beside:
        path = (*path[:-1], error.beside)
    if isinstance(error, Missing):
        return _missing_key(path, model, document)
    if document.private and (_may_hold_secrets(path) or _is_secret(path)):
        hint = ""  # made from what was written
    value = str(path[-1]) if on_key else None
    return _fault(document, (*path, *at), str(error), hint=hint, on_key=on_key, value=value)


def _fault(
    document: Document, path: Path, message: str, *, hint: str = "", on_key: bool = False, value: str | None = None
) -> Fault:
    """A fault that shows what was written, unless `value` says what to show or it may be a secret."""
    written = _as_written(document.at(path)) if value is None else value
    if not document.private:
        return document.fault(path, message, value=written, hint=hint, on_key=on_key)
    among_secrets = _may_hold_secrets(path[:-1]) or _is_secret(path)
    suspicious = _MAY_HOLD_CREDENTIALS.search(written) is not None
    return document.fault(
        path,
        message,
        value="" if among_secrets or suspicious else written,
        hint="" if suspicious else hint,
        on_key=on_key,
        excerpt=not among_secrets and not (on_key and suspicious),
    )


def _may_hold_secrets(path: Path) -> bool:
    """Whether the path leads into a section that names secrets."""
    return "client" in path or path[:1] in (("shared_cache",), ("ops",))


def _is_secret(path: Path) -> bool:
    """Whether a secret has its place here, be it only by reference."""
    return not _SECRETS.isdisjoint(path)


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _as_written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""
