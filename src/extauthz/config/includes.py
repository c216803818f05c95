"""A policy file and the files that it includes, read from the disk and put together: their routes follow its own."""

import glob
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from extauthz.config.document import Document, Node
from extauthz.config.faults import Fault
from extauthz.config.fields import Version
from extauthz.config.section import Section
from extauthz.config.sources import Sources
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml
from extauthz.keyfiles import UnusableError

MAX_INCLUDED_FILES = 1000
"""More files than that are a mistake in a pattern."""


class IncludedFile(Section):
    """A file that a policy includes: routes and nothing else. What they have in common stands in the file that includes it."""

    version: Version = Field(examples=["1"])
    routes: tuple[Any, ...] = Field(examples=["[{name: read-orders, path: /orders, scopes: [orders:read]}]"])


def read_policy_text(path: Path, sources: Sources | None = None) -> Document:
    """Read a policy file and, in the order of their names, the files that its patterns match, each once, as one file.

    `sources` is told of each, and of the folders where a new file would be included.

    Raises:
        UnusableError: when the file itself cannot be read. Trouble with an included one is a fault of the document.
    """
    sources = Sources() if sources is None else sources
    document = read_yaml(sources.read_policy(path), str(path))
    found: dict[Path, Document] = {}
    faults: list[Fault] = []
    for index, pattern in _patterns(document):
        for folder in _folders(path.parent, pattern):
            sources.look_at(folder)
        for each in _included(document, index, pattern, path):
            if isinstance(each, Fault):
                faults.append(each)
            elif each not in found:
                found[each] = _read(document, index, each, sources)
    return _composed(document, [*found.values()], faults)


def _patterns(document: Document) -> list[tuple[int, str]]:
    patterns = document.at(("include",))
    written = enumerate(patterns if isinstance(patterns, list) else ())
    return [(index, pattern) for index, pattern in written if isinstance(pattern, str) and pattern]


def _included(document: Document, index: int, pattern: str, path: Path) -> Iterator[Path | Fault]:
    names = sorted(glob.glob(pattern, root_dir=path.parent))  # noqa: PTH207 - a Path takes hidden files, which editors leave
    if not names or len(names) > MAX_INCLUDED_FILES:
        message = f"this matches more than {MAX_INCLUDED_FILES} files" if names else "no file matches this"
        yield document.fault(("include", index), message, value=pattern)
        return
    for file in (path.parent / name for name in names):
        if file.resolve() == path.resolve():
            yield document.fault(("include", index), "this file would include itself: name the others", value=pattern)
        else:
            yield file


def _read(document: Document, index: int, path: Path, sources: Sources) -> Document:
    try:
        return read_yaml(sources.read_policy(path), str(path))
    except UnusableError as error:
        return Document(file=str(path), faults=(document.fault(("include", index), f"{path}: {error}"),))


def _folders(folder: Path, pattern: str) -> Iterator[Path]:
    """Where a new file would match: in each folder that the pattern means, and where a new such folder would be."""
    parent = Path(pattern).parent
    for name in glob.glob(str(parent), root_dir=folder):  # noqa: PTH207 - as above
        yield folder / name
    parts = itertools.takewhile(lambda part: not glob.has_magic(part), parent.parts)
    yield folder.joinpath(*parts)


def _composed(document: Document, included: list[Document], faults: list[Fault]) -> Document:
    """The file with the routes of the others behind its own."""
    faults = [*document.faults, *faults, *(fault for each in included for fault in validate(IncludedFile, each)[1])]
    if document.root is None:
        return replace(document, faults=tuple(faults))
    own = _routes(document)
    routes = [*(own or ())]
    parts = []
    for each in included:
        if more := _routes(each):
            parts.append((len(routes), each))
            routes += more
    if not parts:
        return replace(document, faults=tuple(faults))
    return replace(document, root=_with_routes(document.root, routes), parts=tuple(parts), faults=tuple(faults))


def _routes(document: Document) -> list[Node]:
    routes = None if document.root is None else document.root.children.get("routes")
    return [*routes.children.values()] if routes is not None and isinstance(routes.data, list) else []


def _with_routes(root: Node, routes: list[Node]) -> Node:
    place = root.children["routes"].place if "routes" in root.children else root.place
    node = Node([route.data for route in routes], place, 1, dict(enumerate(routes)), {})
    return root._replace(data={**root.data, "routes": node.data}, children={**root.children, "routes": node})
