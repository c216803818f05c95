"""A file as plain data that remembers where each value stood; a policy file may have routes of other files in it.

A path is a tuple of keys and indices, such as `("routes", 3, "methods")`. Parts of a path that the file does not
have are passed over, so a path to something missing leads to the section where it is missing.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from extauthz.config.faults import Fault

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Where something stands: line and column from 1; `end` is the column after it, on the same line."""

    line: int
    column: int
    end: int


class Node(NamedTuple):
    """A value, its place, and the same of everything inside. `size` counts the values in it, itself included.

    An alias is the node that it names, so one node can stand in the tree more than once.
    """

    data: Any
    place: Place
    size: int
    children: "Mapping[str | int, Node]"
    keys: Mapping[str, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file.

    Attributes:
        file: its name, for faults.
        lines: its text.
        root: its content; None when it could not be read to the end.
        private: whether secrets may stand in it by mistake: then faults show only the entry that they are about.
        faults: what is wrong with it as YAML.
        empty: places of values that were left empty.
        parts: the files that the routes come from that are not of this file, each with the index of its first route.
    """

    file: str
    lines: tuple[str, ...] = field(default=(), repr=False)
    root: Node | None = field(default=None, repr=False)
    private: bool = False
    faults: tuple[Fault, ...] = ()
    empty: tuple[Place, ...] = ()
    parts: "tuple[tuple[int, Document], ...]" = ()

    def at(self, path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
        """The plain data at a path, or None when the file has nothing there."""
        node = self.root
        for part in path:
            node = None if node is None else node.children.get(part)
        return None if node is None else node.data

    def has(self, path: Path) -> bool:
        """Whether the file has something at exactly this path, be it empty."""
        node = self.root
        for part in path:
            if node is None or part not in node.children:
                return False
            node = node.children[part]
        return node is not None

    def value_place(self, path: Path) -> Place:
        """Where the value at a path stands."""
        return self._descend(path)[0]

    def owner(self, path: Path) -> "Document":
        """The file where a path leads: this one, or the one that a route comes from."""
        index = path[1] if path[:1] == ("routes",) and len(path) > 1 else None
        if not self.parts or not isinstance(index, int):
            return self
        before = bisect_right(self.parts, index, key=itemgetter(0))
        return self.parts[before - 1][1] if before else self

    def near(self, path: Path, reader: Path) -> str:
        """Where a path leads, for whoever reads of it at another one: `line 5`, or `other.yaml:5`."""
        line = self.value_place(path).line
        owner = self.owner(path)
        return f"line {line}" if owner is self.owner(reader) else f"{owner.file}:{line}"

    def fault(
        self, path: Path, message: str, *, value: str = "", hint: str = "", on_key: bool = False, excerpt: bool = True
    ) -> Fault:
        """A fault of the value at a path, or of its key."""
        value_place, key_place = self._descend(path)
        place = key_place if on_key and key_place is not None else value_place
        owner = self.owner(path)
        entry = value_place if value and not on_key else None
        shown, column = owner._shown(place, key_place, entry)  # noqa: SLF001 - one of our kind
        return Fault(
            file=owner.file,
            line=place.line,
            column=place.column,
            message=message,
            value=value,
            hint=hint,
            excerpt=shown if excerpt else "",
            excerpt_column=column,
        )

    def fault_at(self, place: Place, message: str) -> Fault:
        """A fault of whatever stands at a place."""
        shown, column = self._shown(place, None, None)
        return Fault(
            file=self.file,
            line=place.line,
            column=place.column,
            message=message,
            excerpt=shown,
            excerpt_column=column,
        )

    def _descend(self, path: Path) -> tuple[Place, Place | None]:
        node, key = self.root, None
        for part in path:
            if node is not None and part in node.children:
                key = node.keys.get(part) if isinstance(part, str) else None
                node = node.children[part]
        return (Place(1, 1, 1) if node is None else node.place), key

    def _shown(self, place: Place, key: Place | None, value: Place | None) -> tuple[str, int]:
        """The line of a place and the column where what is shown starts: all of it, or of a private file the entry."""
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        if not self.private:
            return line, 1
        here = [one for one in (key, value) if one is not None and one.line == place.line]
        if not here:
            return "", 1
        end = here[-1].end - 1 if here[-1] is value else here[-1].end  # a key with its colon
        return line[here[0].column - 1 : end], here[0].column
