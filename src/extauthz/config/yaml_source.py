"""YAML text to plain data with places, by rules of our own that leave nothing to guess.

Only `true`, `false`, whole numbers and an empty value are not text: `no`, `on`, `12:30`, `0x10` and `1e3` are.
Tags, merge keys, duplicate keys, keys that are not text and a second document are faults. The parser's events are
read one by one, never its finished tree: that keeps explicit tags visible, depth bounded, and large files fast.
"""

import re
from collections.abc import Iterator

import yaml

from extauthz.config.document import Document, Node, Place
from extauthz.config.faults import Fault

MAX_FILE_BYTES = 8 * 1024 * 1024
"""A larger file is refused unread."""

MAX_VALUES = 500_000
"""Values in a file with its aliases unfolded: ten thousand routes need about 150,000."""

MAX_DEPTH = 32
"""Mappings and lists inside each other; our own files need eight."""

Scalar = str | int | bool | None

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"(?=.{1,20}\Z)[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
_START = Place(1, 1, 1)
_NOTHING: dict[str | int, Node] = {}
_NO_KEYS: dict[str, Place] = {}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_INDENTATION = "the indentation does not fit the lines above"
_SYNTAX = (
    ("found a tab character", "a tab stands here: indent with spaces"),
    ("cannot start any token", "a value cannot start with this character: put quotes around the value"),
    (
        "mapping values are not allowed",
        "a value with ': ' in it needs quotes; or this line is indented wrongly, or the line before lacks its ':'",
    ),
    ("unexpected end of stream", "a quote is opened here and never closed"),
    (
        "expected ',' or",
        "a comma or a closing bracket is missing; inside [ ] and { }, a value with any of , [ ] { } needs quotes",
    ),
    ("could not find expected ':'", "a ':' is missing after this key"),
    ("node content", "a value or a closing bracket is missing here"),
    ("alphabetic or numeric character", "a value that starts with * or & needs quotes"),
    ("did not find expected", _INDENTATION),
    ("<block end>", _INDENTATION),
    ("found unknown escape character", "there is no such backslash escape: use single quotes"),
)
"""What the parser says, and what an operator can do about it. The first that fits counts."""


class _Fatal(Exception):  # noqa: N818 - not an error of the program
    """The file cannot be read further."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def read_yaml(source: bytes, file: str, *, private: bool = False) -> Document:
    """The document in a file. Never raises: what is wrong is in its `faults`.

    Args:
        source: content of the file.
        file: its name, for faults.
        private: whether secrets may stand in it by mistake; then no fault found here shows any of its text.
    """
    text, fatal = _decode(source)
    lines = tuple(_LINE_BREAK.split(text))
    builder = _Builder(yaml.parse(text, Loader=_LOADER))
    root = None
    if fatal is None:
        try:
            root = builder.document()
        except _Fatal as error:
            fatal = error
        except yaml.MarkedYAMLError as error:
            fatal = _syntax(error, lines, private=private)
        except yaml.YAMLError:
            fatal = _Fatal(_START, "this is not YAML")
    found = builder.found if fatal is None else [*builder.found, (fatal.place, fatal.message)]
    faults = [_fault(file, place, message, () if private else lines) for place, message in found]
    return Document(
        file=file, lines=lines, root=root, private=private, faults=tuple(faults), empty=tuple(builder.empty)
    )


def resolve(text: str) -> Scalar:
    """What an unquoted word means."""
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _decode(source: bytes) -> tuple[str, _Fatal | None]:
    if len(source) > MAX_FILE_BYTES:
        return "", _Fatal(_START, f"the file is larger than {MAX_FILE_BYTES} bytes")
    source = source.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        before = source[: error.start].decode()
        return before, _Fatal(_place_after(before), "the file is not UTF-8 here")
    strange = _NOT_YAML.search(text)
    if strange is None:
        return text, None
    place = _place_after(text[: strange.start()])
    return text, _Fatal(place, f"the character U+{ord(strange[0]):04X} cannot stand in YAML")


def _place_after(text: str) -> Place:
    lines = _LINE_BREAK.split(text)
    column = len(lines[-1]) + 1
    return Place(len(lines), column, column)


def _fault(file: str, place: Place, message: str, lines: tuple[str, ...]) -> Fault:
    excerpt = lines[place.line - 1] if place.line <= len(lines) else ""
    return Fault(file=file, line=place.line, column=place.column, message=message, excerpt=excerpt)


def _syntax(error: yaml.MarkedYAMLError, lines: tuple[str, ...], *, private: bool) -> _Fatal:
    problem = error.problem or ""
    mark = error.problem_mark
    if "end of stream" in problem and error.context_mark is not None:
        mark = error.context_mark
    place = _START if mark is None else Place(mark.line + 1, mark.column + 1, mark.column + 1)
    if lines[min(place.line, len(lines)) - 1].lstrip(" ").startswith("\t"):
        return _Fatal(place, _SYNTAX[0][1])
    unknown = "this is not YAML" if private else f"this is not YAML: {problem}"
    return _Fatal(place, next((sentence for fragment, sentence in _SYNTAX if fragment in problem), unknown))


class _Builder:
    """Puts the parser's events together. `found` collects faults that do not stop it."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._values = 0
        self.found: list[tuple[Place, str]] = []
        self.empty: list[Place] = []

    def document(self) -> Node:
        """The one document of the file."""
        next(self._events)  # start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Fatal(_START, "the file is empty")
        root = self._node(next(self._events), 0)
        if root.data is None:
            raise _Fatal(_START, "the file is empty")
        next(self._events)  # end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.found.append((_place(after), "a second document starts here: one file is one document"))
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise _Fatal(_place(event), f"more than {MAX_DEPTH} lists and mappings inside each other")
        self._count(1, event)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth + 1)
        else:
            node = self._mapping(event, depth + 1)
        if getattr(event, "tag", None) is not None:
            self.found.append((node.place, "tags (!…) are not used here: write the plain value"))
        if getattr(event, "anchor", None):
            self._anchors[event.anchor] = node  # type: ignore[attr-defined] # of every node event
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise _Fatal(
                _place(event), "no &anchor before this alias has its name; a value that starts with * needs quotes"
            )
        self._count(node.size, event)
        return node

    def _count(self, values: int, event: yaml.Event) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise _Fatal(_place(event), f"the file has more than {MAX_VALUES} values, with its aliases unfolded")

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        plain = not event.style and event.tag is None
        return Node(resolve(event.value) if plain else event.value, _place(event), 1, _NOTHING, _NO_KEYS)

    def _sequence(self, start: yaml.Event, depth: int) -> Node:
        items: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items[len(items)] = self._item(event, depth)
        size = 1 + sum(item.size for item in items.values())
        return Node([item.data for item in items.values()], _place(start), size, items, _NO_KEYS)

    def _mapping(self, start: yaml.Event, depth: int) -> Node:
        values: dict[str | int, Node] = {}
        keys: dict[str, Place] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth)
            value = self._item(next(self._events), depth)
            size += key.size + value.size
            name = self._name(event, key, keys)
            if name is not None:
                values[name], keys[name] = value, key.place
        return Node({name: value.data for name, value in values.items()}, _place(start), size, values, keys)

    def _item(self, event: yaml.Event, depth: int) -> Node:
        node = self._node(event, depth)
        if node.data is None:
            self.empty.append(node.place)
        return node

    def _name(self, event: yaml.Event, key: Node, taken: dict[str, Place]) -> str | None:
        """The key as text; None for a key that cannot be used, which is then a fault."""
        name = key.data
        if isinstance(event, yaml.ScalarEvent) and name == "<<" and not event.style:
            message = "merge keys (<<) are not used here: write the entries out"
        elif not isinstance(name, str):
            inner = isinstance(name, list | dict)
            message = "a key is one word of text" if inner else "a key is text: put quotes around it"
        elif name in taken:
            message = f"this key stands twice here: first on line {taken[name].line}"
        else:
            return name
        self.found.append((key.place, message))
        return None


def _place(event: yaml.Event) -> Place:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        return _START
    column = start.column + 1
    return Place(start.line + 1, column, end.column + 1 if end.line == start.line else column)
