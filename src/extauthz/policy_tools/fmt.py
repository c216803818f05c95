"""One way to lay out a policy file. Order, words, quotes and comments stay; spaces, indentation and empty lines change.

Blocks are indented by two, also lists. A list or mapping in brackets stays on one line while it fits and has no comment
inside; else it becomes a block. Comments stay in their column where there is room. Nothing is returned that does not mean
the same as before and have the same comments.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from extauthz.config.yaml_source import read_yaml

WIDTH = 120
"""Characters of the longest line that a list or mapping in brackets may make."""

_ROUNDS = 4
_UNSAFE = "the file is laid out in a way that cannot be changed safely; it stays as it is"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnformattableError(ValueError):
    """The file is left as it is. The message says why."""


class Comment(NamedTuple):
    """A comment, its line and column from 0."""

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A value as it was written: `text` of a scalar or alias; else its items, in pairs for a mapping."""

    first: int
    last: int
    text: str = ""
    anchor: str = ""
    flow: bool = False
    mapping: bool = False
    items: tuple["_Piece", ...] = ()
    pairs: tuple[tuple["_Piece", "_Piece"], ...] = ()


def format_policy(text: str) -> str:
    """The same file, laid out.

    Raises:
        UnformattableError: when it is not YAML as we read it, or has a text of several lines.
    """
    for _ in range(_ROUNDS):
        after = _laid_out(text)
        if after == text:
            return after
        text = after
    raise UnformattableError(_UNSAFE)


def _laid_out(text: str) -> str:
    """Once; a comment inside brackets that become a block can find its place only in the next round."""
    before = read_yaml(text.encode(), "")
    if before.root is None or before.faults:
        raise UnformattableError("the file has faults: extauthz policy check tells them")
    lines = text.splitlines()
    root, spans = _read(yaml.parse(text, Loader=_LOADER), lines)
    comments = [*_comments(lines, spans)]
    after = "".join(f"{line}\n" for line in _Writer(comments).written(root))
    _compare(after, before.root.data, comments)
    return after


def _compare(after: str, data: object, comments: list[Comment]) -> None:
    again = read_yaml(after.encode(), "")
    lines = after.splitlines()
    _, spans = _read(yaml.parse(after, Loader=_LOADER), lines)
    kept = sorted(comment.text for comment in _comments(lines, spans))
    if again.root is None or again.root.data != data or kept != sorted(comment.text for comment in comments):
        raise UnformattableError(_UNSAFE)


_Spans = dict[int, list[tuple[int, int]]]
"""For each line, the columns that scalars take."""


def _read(events: Iterator[yaml.Event], lines: list[str]) -> tuple[_Piece, _Spans]:
    reader = _Reader(events, lines)
    next(events)  # start of the stream
    next(events)  # start of the document
    root = reader.piece(next(events))
    return root, reader.spans


@dataclass(slots=True)
class _Reader:
    events: Iterator[yaml.Event]
    lines: list[str]
    spans: _Spans = field(default_factory=dict)

    def piece(self, event: yaml.Event) -> _Piece:
        if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            return self._scalar(event)
        items: list[_Piece] = []
        while not isinstance(inner := next(self.events), yaml.CollectionEndEvent):
            items.append(self.piece(inner))
        mapping = isinstance(event, yaml.MappingStartEvent)
        flow = bool(getattr(event, "flow_style", False))
        return _Piece(
            first=_line(event.start_mark),
            last=_line(inner.end_mark) if flow else max((item.last for item in items), default=_line(event.end_mark)),
            anchor=f"&{event.anchor}" if getattr(event, "anchor", None) else "",  # type: ignore[attr-defined] # of every node event
            flow=flow,
            mapping=mapping,
            items=() if mapping else tuple(items),
            pairs=tuple(zip(items[::2], items[1::2], strict=True)) if mapping else (),
        )

    def _scalar(self, event: yaml.Event) -> _Piece:
        start, end = event.start_mark, event.end_mark
        first, last = _line(start), _line(end)
        if first != last:
            raise UnformattableError(
                f"line {first + 1}: a text of several lines cannot be laid out; write it on one line"
            )
        begin, stop = (0 if mark is None else mark.column for mark in (start, end))
        self.spans.setdefault(first, []).append((begin, stop))
        return _Piece(
            first=first, last=last, text=self.lines[first][begin:stop].rstrip() if first < len(self.lines) else ""
        )


def _line(mark: object) -> int:
    return int(getattr(mark, "line", 0))


def _comments(lines: list[str], spans: _Spans) -> Iterator[Comment]:
    for number, line in enumerate(lines):
        taken = spans.get(number, [])
        for column, character in enumerate(line):
            free = character == "#" and not any(begin <= column < stop for begin, stop in taken)
            if free and (column == 0 or line[column - 1] in " \t"):
                yield Comment(number, column, line[column:].rstrip())
                break


class _Writer:
    """Writes pieces in their order, and each comment where it comes in the file."""

    def __init__(self, comments: list[Comment]) -> None:
        self._waiting = deque(comments)
        self._lines_with_comment = sorted(comment.line for comment in comments)
        self._out: list[str] = []
        self._last = -1

    def written(self, root: _Piece) -> list[str]:
        """All lines."""
        self._block(root, 0, "")
        self._comments_before(None, 0)
        return self._out

    def _block(self, piece: _Piece, indent: int, lead: str) -> None:
        """Entries of a mapping or list, one below the other; `lead` stands before the first one instead of its indent."""
        margin = " " * indent
        for key, value in piece.pairs:
            self._comments_before(key.first, indent)
            self._entry(f"{lead or margin}{key.text}:", key.first, value, indent + 2)
            lead = ""
        for item in piece.items:
            self._comments_before(item.first, indent)
            if item.mapping and item.pairs and not item.anchor and self._on_one_line(item, indent + 2) is None:
                self._block(item, indent + 2, f"{lead or margin}- ")
            else:
                self._entry(f"{lead or margin}-", item.first, item, indent + 2)
            lead = ""

    def _entry(self, head: str, line: int, value: _Piece, indent: int) -> None:
        """What stands behind a key or a dash: on the same line, or as a block below."""
        inline = self._on_one_line(value, len(head) + 1)
        if inline is not None:
            self._put(f"{head} {inline}".rstrip(), value.last if inline else line)
        else:
            self._put(f"{head} {value.anchor}".rstrip(), line)
            self._block(value, indent, "")

    def _on_one_line(self, piece: _Piece, column: int) -> str | None:
        """The value for one line, or None when it needs more."""
        if not (piece.flow or not (piece.items or piece.pairs)):
            return None
        commented = any(piece.first <= line < piece.last for line in self._lines_with_comment)
        text = _flow(piece)
        fits = column + len(text) <= WIDTH or not (piece.items or piece.pairs)
        return text if fits and not commented else None

    def _comments_before(self, line: int | None, indent: int) -> None:
        """Comments that come before a line of the file, and one empty line where there were some."""
        while self._waiting and (line is None or self._waiting[0].line < line):
            comment = self._waiting.popleft()
            self._gap(comment.line)
            self._out.append(" " * self._margin(comment, indent) + comment.text)
        if line is not None:
            self._gap(line)

    def _margin(self, comment: Comment, indent: int) -> int:
        """A comment at the end of a block stays with it, although what comes next is indented less."""
        before = len(self._out[-1]) - len(self._out[-1].lstrip()) if self._out else 0
        return comment.column if indent < comment.column <= before else indent

    def _gap(self, line: int) -> None:
        if self._out and line - self._last > 1:
            self._out.append("")
        self._last = max(self._last, line)

    def _put(self, text: str, line: int) -> None:
        """One line, with the comment that stood at the end of that line of the file."""
        self._last = max(self._last, line)
        if self._waiting and self._waiting[0].line == line:
            comment = self._waiting.popleft()
            text = text.ljust(max(comment.column, len(text) + 2)) + comment.text
        self._out.append(text)


def _flow(piece: _Piece) -> str:
    if piece.mapping:
        text = "{" + ", ".join(f"{key.text}: {_flow(value)}".rstrip() for key, value in piece.pairs) + "}"
    elif piece.flow or piece.items:
        text = "[" + ", ".join(map(_flow, piece.items)) + "]"
    else:
        text = piece.text
    return f"{piece.anchor} {text}".strip()
