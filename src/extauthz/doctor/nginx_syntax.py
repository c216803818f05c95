"""The grammar of nginx.conf: words, `;`, `{` and `}`; quotes, `#` and `${...}` as NGINX itself reads them.

Of our own, since the parsers that are published know a fixed list of directives, want a file, or rest since years.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

MAX_DEPTH = 64
"""Blocks, and files included by files, inside each other."""

Includes = Callable[[str], Sequence[tuple[str, str]]]
"""Name and text of each file that a pattern after `include` means. Raises OSError when there is none to read."""

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\n]*)
  | (?P<mark>[;{}])
  | "(?P<double>(?:[^"\\]|\\.)*)"(?=[\s;{)])
  | '(?P<single>(?:[^'\\]|\\.)*)'(?=[\s;{)])
  | (?P<word>(?!["'])(?:\\.|\$\{|[^ \t\r\n;{\\])+)
    """,
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_FOREIGN = "_by_lua_block"
"""Ending of the directives whose block is in another language."""

_FOREIGN_TOKEN = re.compile(r"""(?P<skip>--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<mark>[{}])""", re.DOTALL)


class NginxSyntaxError(Exception):
    """The text is not a configuration. `where` is `file:line`."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A name with its words, and for a block what is inside; `where` is `file:line`."""

    name: str
    args: tuple[str, ...] = ()
    where: str = ""
    block: "tuple[Directive, ...] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxFile:
    """A configuration with everything that it includes; `unread` are the `include` lines that led nowhere."""

    directives: tuple[Directive, ...]
    unread: tuple[Directive, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    is_mark: bool


def no_includes(pattern: str) -> Sequence[tuple[str, str]]:
    """Nothing can be read."""
    raise FileNotFoundError(pattern)


def parse(text: str, file: str, includes: Includes = no_includes) -> NginxFile:
    """Read a configuration.

    Raises:
        NginxSyntaxError: where NGINX would refuse it too.
    """
    parser = _Parser(includes)
    return NginxFile(directives=parser.file(text, file, 0), unread=tuple(parser.unread))


@dataclass(slots=True)
class _Parser:
    includes: Includes
    unread: list[Directive] = field(default_factory=list)

    def file(self, text: str, file: str, depth: int) -> tuple[Directive, ...]:
        return tuple(self._directives(_tokens(text, file), file, depth, closing=None))

    def _directives(
        self, tokens: Iterator[_Token], file: str, depth: int, *, closing: _Token | None
    ) -> Iterator[Directive]:
        """The directives up to the `}` of the block that `closing` opened, or up to the end of the file."""
        words: list[_Token] = []
        for token in tokens:
            if not token.is_mark:
                words.append(token)
                continue
            if token.text == "}" and not words and closing is not None:
                return
            if not words or token.text == "}":
                raise NginxSyntaxError(f"{file}:{token.line}", f"unexpected {token.text}")
            yield from self._directive(words, token, tokens, file, depth)
            words = []
        if closing is not None:
            raise NginxSyntaxError(f"{file}:{closing.line}", "this { is never closed")
        if words:
            raise NginxSyntaxError(f"{file}:{words[0].line}", f"{words[0].text} does not end with ; or {{")

    def _directive(
        self, words: list[_Token], end: _Token, tokens: Iterator[_Token], file: str, depth: int
    ) -> Iterator[Directive]:
        where = f"{file}:{words[0].line}"
        if depth > MAX_DEPTH:
            raise NginxSyntaxError(where, f"more than {MAX_DEPTH} blocks or included files inside each other")
        name, *args = (word.text for word in words)
        block = None
        if end.text == "{":
            block = tuple(self._directives(tokens, file, depth + 1, closing=end))
        directive = Directive(name=name, args=tuple(args), where=where, block=block)
        if name == "include" and block is None:
            yield from self._included(directive, depth)
        else:
            yield directive

    def _included(self, directive: Directive, depth: int) -> Iterator[Directive]:
        try:
            files = self.includes(" ".join(directive.args))
        except OSError:
            self.unread.append(directive)
            return
        for file, text in files:
            yield from self.file(text, file, depth + 1)


def _tokens(text: str, file: str) -> Iterator[_Token]:
    at, line = 0, 1
    first = ""  # word of the directive that is being read
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NginxSyntaxError(f"{file}:{line}", "a quote is not closed, or no space follows it")
        kind, at = match.lastgroup or "", match.end()
        if kind == "mark" and match["mark"] == "{" and first.endswith(_FOREIGN):
            end = _foreign_end(text, at, f"{file}:{line}")
            yield _Token(";", line, is_mark=True)
            line += text.count("\n", at, end)
            first, at = "", end
        elif kind == "mark":
            first = ""
            yield _Token(match["mark"], line, is_mark=True)
        elif kind not in ("space", "comment"):
            word = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match[kind])
            first = first or word
            yield _Token(word, line, is_mark=False)
        line += match[0].count("\n")


def _foreign_end(text: str, at: int, where: str) -> int:
    """Where a block in another language ends, behind its `}`."""
    depth = 1
    for match in _FOREIGN_TOKEN.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise NginxSyntaxError(where, "this { is never closed")
