"""An Envoy file as the typed messages of Envoy's API. What does not fit them is found here, with its place.

`envoy-data-plane` knows the API of one release of Envoy; the few settings that came later are listed below.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from extauthz.config.document import Document, Path
from extauthz.config.yaml_source import read_yaml
from extauthz.doctor.envoy_api import Bootstrap, Message, Packed, default_message_pool
from extauthz.doctor.findings import Finding, Severity

NEWER = frozenset({"clear_route_cache_headers", "emit_client_span"})
"""Settings of Envoy 1.39 and 1.40 that the typed messages do not have yet."""

_TYPE = "@type"
_MODULE = re.compile(r"type\.googleapis\.com/([a-z0-9_]+(?:\.[a-z0-9_]+)*)\.[A-Z]\w*")
_IGNORED = "!ignore"  # Envoy passes over keys with this tag
_REFUSED = (ValueError, TypeError, KeyError, AttributeError, AssertionError, OverflowError)
"""What the typed messages raise about values that they do not take."""


_Build = Callable[[Any], object]
"""A function that takes a part of the file and raises when it does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyFile:
    """A bootstrap file.

    Attributes:
        document: the text, for places, and for what the typed messages do not know.
        bootstrap: its content, without what did not fit.
    """

    document: Document
    bootstrap: Bootstrap

    def where(self, path: Path) -> str:
        """`file:line` of the key at a path, or of the section where it is missing."""
        return f"{self.document.file}:{self.document.fault(path, '', on_key=True).line}"


@dataclass(frozen=True, slots=True)
class _Misfit:
    """What does not fit, where, and why."""

    path: Path
    reason: str
    is_unknown: bool = False


def read_envoy(text: str, file: str) -> tuple[EnvoyFile, list[Finding]]:
    """The file as far as it can be understood, and a finding for each thing that cannot."""
    document = read_yaml(text.encode(), file)
    findings = [
        _error(f"{file}:{fault.line}", fault.message)
        for fault in document.faults
        if not _is_ignored(document, fault.line)
    ]
    data, strangers = _understood(_top(document), ())
    misfits: list[_Misfit] = []
    while found := list(_misfits(_build, data)):
        misfits += found
        for misfit in found:
            data = _without(data, misfit.path)
    envoy_file = EnvoyFile(document=document, bootstrap=_build(data))
    findings += [_error(envoy_file.where(each.path), _sentence(each)) for each in misfits]
    findings += [_stranger(envoy_file.where(path), kind) for path, kind in strangers]
    return envoy_file, findings


def _error(where: str, what: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        check="envoy-api",
        where=where,
        what=what,
        why="Envoy does not start with it, or does not do what was meant.",
        fix="envoy --mode validate -c FILE, with the Envoy that will run it",
    )


def _stranger(where: str, kind: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        check="envoy-api",
        where=where,
        what=f"{kind} is not known here",
        why="What stands in it was not looked at.",
        fix="pip install --upgrade 'extauthz[doctor]', or look yourself",
    )


def _top(document: Document) -> Any:  # noqa: ANN401 - whatever the file holds
    root = document.root
    if root is None or not isinstance(root.data, dict):
        return {} if root is None else root.data
    return {name: value for name, value in root.data.items() if not _is_ignored(document, root.keys[name].line)}


def _is_ignored(document: Document, line: int) -> bool:
    return any(_IGNORED in text for text in document.lines[line - 1 : line])


def unpack(packed: Packed | None) -> Message | None:
    """The message in an extension's configuration; None when there is none, or none that is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return None if packed is None else packed.unpack()
        except TypeError:
            return None


def _build(data: Any) -> Bootstrap:  # noqa: ANN401 - whatever the file holds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of settings that Envoy still takes
        return Bootstrap.from_dict(data)


def _understood(data: Any, path: Path) -> tuple[Any, list[tuple[Path, str]]]:  # noqa: ANN401 - whatever the file holds
    """The data without extensions of unknown type and without newer settings, and the place of each such extension."""
    strangers: list[tuple[Path, str]] = []
    if isinstance(data, list):
        items = [_understood(item, (*path, index)) for index, item in enumerate(data)]
        return [item for item, _ in items], [each for _, more in items for each in more]
    if not isinstance(data, dict):
        return data, strangers
    kept = {}
    for name, value in data.items():
        if name in NEWER:
            continue
        kind = value.get(_TYPE) if isinstance(value, dict) else None
        if kind is not None and not _is_known(str(kind)):
            strangers.append(((*path, name), str(kind).rpartition("/")[2]))
            continue
        kept[name], more = _understood(value, (*path, name))
        strangers += more
    return kept, strangers


def _is_known(kind: str) -> bool:
    """Whether there is a message for a type URL; its module is imported, which makes it known to all messages."""
    match = _MODULE.fullmatch(kind)
    if match is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            importlib.import_module(f"envoy_data_plane.{match[1]}")
        except ImportError:
            return False
    return kind in default_message_pool.url_to_type


def _misfits(build: _Build, data: Any) -> Iterator[_Misfit]:  # noqa: ANN401 - whatever the file holds
    """The smallest parts that are refused: each is tried alone, within the sections around it."""
    try:
        build(data)
    except _REFUSED as error:
        reason = _reason(error)
    else:
        return
    found = False
    for part, alone in _parts(build, data):
        inner = list(_misfits(alone, data[part])) if not _is_unknown(alone) else [_Misfit((), "", is_unknown=True)]
        for each in inner:
            found = True
            yield _Misfit((part, *each.path), each.reason, each.is_unknown)
    if not found:
        yield _Misfit((), reason)


def _parts(build: _Build, data: Any) -> Iterator[tuple[str | int, _Build]]:  # noqa: ANN401 - whatever the file holds
    """Each key or index, with a function that builds the whole out of this part alone."""
    if isinstance(data, list):
        yield from ((index, lambda part: build([part])) for index in range(len(data)))
    elif isinstance(data, dict):
        kind = {_TYPE: data[_TYPE]} if _TYPE in data else {}
        yield from ((name, _with_key(build, kind, name)) for name in data if name != _TYPE)


def _with_key(build: _Build, kind: dict[str, object], name: str) -> _Build:
    return lambda part: build({**kind, name: part})


def _is_unknown(alone: _Build) -> bool:
    """Whether there is no setting of this name: then it is refused without a value too."""
    try:
        alone(None)
    except KeyError as error:
        return "Unknown field" in str(error)
    except _REFUSED:
        return False
    return False


def _without(data: Any, path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The data without one part of it; an item of a list goes with the whole list, so that no other item moves."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if not path:
        return {}
    first, *rest = path
    if isinstance(data, list):
        return [_without(item, tuple(rest)) if index == first else item for index, item in enumerate(data)]
    if not rest:
        return {name: value for name, value in data.items() if name != first}
    return {name: _without(value, tuple(rest)) if name == first else value for name, value in data.items()}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].rstrip(".")
    return str(error) if isinstance(error, ValueError) else "it wants another kind of value"


def _sentence(misfit: _Misfit) -> str:
    name = next((part for part in reversed(misfit.path) if isinstance(part, str)), "this")
    if misfit.is_unknown:
        return f"Envoy has no setting {name} here"
    return f"{name} does not fit Envoy's API: {misfit.reason}"
