"""What NGINX makes of the blocks: which directive holds in which location, and which locations ask extauthz.

A directive holds in the block where it stands and in those inside, until one of these has the same directive. That
goes for lists too: one `proxy_set_header` in a location, and none of the outer ones is left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Problem, Severity
from extauthz.doctor.nginx_syntax import Directive, NginxFile

ENDPOINT = "/nginx"
"""Where extauthz answers NGINX."""

PASSES = {
    "proxy_pass": "proxy_set_header",
    "grpc_pass": "grpc_set_header",
    "fastcgi_pass": "fastcgi_param",
    "uwsgi_pass": "uwsgi_param",
    "scgi_pass": "scgi_param",
}
"""How a location hands a request to an application, and the directive that sets a header of it."""

_NESTED = ("if", "limit_except")
_NOT_HTTP = ("stream", "mail")
_VARIABLE = re.compile(r"\$\{?([A-Za-z0-9_]+)\}?")


@dataclass(frozen=True, slots=True)
class Context:
    """A block with all blocks around it, from the file itself inwards."""

    chain: tuple[Directive, ...]

    @property
    def block(self) -> Directive:
        """The innermost block."""
        return self.chain[-1]

    @property
    def modifier(self) -> str:
        """Of a location: `=`, `~`, `~*`, `^~`, `@`, or empty for a plain prefix."""
        return _location(self.block)[0]

    @property
    def uri(self) -> str:
        """Of a location: its path, regular expression, or name with `@`."""
        return _location(self.block)[1]

    def takes(self, target: str) -> bool:
        """Of a location: whether NGINX may come here when it is led to this path or name; patterns are not judged."""
        return target == self.uri or (self.modifier in ("", "^~") and target.startswith(self.uri))

    @property
    def location(self) -> "Context":
        """The location that this block is, or is in."""
        at = max(index for index, each in enumerate(self.chain) if each.name == "location")
        return Context(self.chain[: at + 1])

    @property
    def title(self) -> str:
        """As it is written, without what is inside."""
        return " ".join((self.location.block.name, *self.location.block.args))

    def inside(self) -> Iterator["Context"]:
        """The blocks directly in this one."""
        for each in self.block.block or ():
            if each.block is not None:
                yield Context((*self.chain, each))

    def own(self, *names: str) -> list[Directive]:
        """Directives of these names directly in this block."""
        return [each for each in self.block.block or () if each.name in names]

    def holding(self, name: str) -> list[Directive]:
        """Directives of this name that hold here: those of the nearest block that has any."""
        for depth in range(len(self.chain), 0, -1):
            found = Context(self.chain[:depth]).own(name)
            if found:
                return found
        return []

    def outside(self, name: str) -> list[Directive]:
        """Directives of this name in this block and in all blocks around it."""
        return [each for depth in range(1, len(self.chain) + 1) for each in Context(self.chain[:depth]).own(name)]

    def words(self, name: str) -> tuple[str, ...]:
        """The words after a directive that holds here; empty when there is none."""
        found = self.holding(name)
        return found[-1].args if found else ()

    def value(self, name: str, default: str = "") -> str:
        """The first word after a directive that holds here."""
        return next(iter(self.words(name)), default)

    def place(self, name: str) -> str:
        """Where the directive stands that holds here; where the block begins when there is none."""
        found = self.holding(name)
        return found[-1].where if found else self.block.where

    def headers(self, name: str = "proxy_set_header") -> dict[str, Directive]:
        """The directives that set headers here, by the lower-case name of the header."""
        return {each.args[0].lower(): each for each in self.holding(name) if len(each.args) > 1}

    @property
    def question(self) -> str:
        """The URI that `auth_request` asks here; empty when it asks nobody."""
        uri = self.value("auth_request")
        return "" if uri == "off" else uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A location that asks extauthz, and what our own files say."""

    context: Context
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One `server` block.

    Attributes:
        server: the block.
        locations: all locations of it, and the blocks inside these that may pass a request on as well.
        expected: what our own files say.
    """

    server: Context
    locations: tuple[Context, ...]
    expected: Expected

    @property
    def questions(self) -> list[Directive]:
        """Each `auth_request` that asks, once."""
        found = [each for context in (self.server, *self.locations) for each in context.holding("auth_request")]
        return [each for each in dict.fromkeys(found) if each.args and each.args != ("off",)]

    @property
    def asking(self) -> list[Asking]:
        """The locations that ask extauthz, because an `auth_request` names them."""
        named = {each.args[0] for each in self.questions}
        return [Asking(context=each, expected=self.expected) for each in self.exact if each.uri in named]

    @property
    def exact(self) -> list[Context]:
        """Locations for one path only."""
        return [each for each in self.locations if each.block.name == "location" and each.modifier == "="]

    @property
    def applications(self) -> list[Context]:
        """Where requests of clients go on to an application."""
        return [each for each in self._passing if not each.location.own("internal")]

    @property
    def inner_applications(self) -> list[Context]:
        """Likewise, where only NGINX itself leads requests to; questions to extauthz that nobody asks are none."""
        inner = [each for each in self._passing if each.location.own("internal")]
        return [each for each in inner if not each.value("proxy_pass").endswith(ENDPOINT)]

    @property
    def _passing(self) -> list[Context]:
        asking = {each.context.block for each in self.asking}
        return [each for each in self.locations if each.own(*PASSES) and each.location.block not in asking]

    @property
    def checked(self) -> list[Context]:
        """Locations, and blocks in them, where extauthz is asked."""
        return [each for each in self.locations if each.question]


def sites(file: NginxFile, expected: Expected) -> list[Site]:
    """Every `server` of the file that speaks HTTP."""
    root = Context((Directive(name="", block=file.directives),))
    servers = [each for each in _everything(root) if each.block.name == "server"]
    http = [each for each in servers if not any(outer.name in _NOT_HTTP for outer in each.chain)]
    return [Site(server=each, locations=tuple(_locations(each)), expected=expected) for each in http]


def _everything(context: Context) -> Iterator[Context]:
    for each in context.inside():
        yield each
        yield from _everything(each)


def _locations(server: Context) -> Iterator[Context]:
    for each in _everything(server):
        names = [outer.name for outer in each.chain]
        if names[-1] == "location" or (names[-1] in _NESTED and "location" in names):
            yield each


def _location(block: Directive) -> tuple[str, str]:
    """Modifier and path of a location; `location =/x` and `location = /x` are the same."""
    text = " ".join(block.args)
    for modifier in ("=", "~*", "^~", "~"):
        if text.startswith(modifier):
            return modifier, text.removeprefix(modifier).lstrip(" ")
    return ("@" if text.startswith("@") else ""), text


def variables(text: str) -> set[str]:
    """Names of the variables in a text."""
    return set(_VARIABLE.findall(text))


def sources(context: Context, name: str) -> Iterator[tuple[Directive, str]]:
    """What gives a variable its value by `set`, `auth_request_set` or `map`, and each text that it is made of."""
    for outer in context.chain:
        for each in outer.block or ():
            if each.name in ("set", "auth_request_set") and each.args[:1] == (f"${name}",):
                yield each, " ".join(each.args[1:])
            if each.name == "map" and each.args[1:2] == (f"${name}",):
                yield each, each.args[0]
                yield from ((entry, " ".join(entry.args)) for entry in each.block or ())


def made_of(context: Context, text: str) -> set[str]:
    """Names of all variables that a text depends on, also those behind `set`, `auth_request_set` and `map`."""
    found: set[str] = set()
    open_names = variables(text)
    while open_names:
        name = open_names.pop()
        found.add(name)
        open_names |= {more for _, source in sources(context, name) for more in variables(source)} - found
    return found


def warning(where: str, what: str, fix: str) -> Problem:
    """A problem that may be meant so."""
    return Problem(where=where, what=what, fix=fix, severity=Severity.WARNING)
