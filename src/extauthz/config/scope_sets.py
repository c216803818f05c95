"""Named sets of scopes: what each one holds in the end, and what is wrong with those that lead nowhere or in a circle."""

from collections.abc import Iterator, Mapping

from extauthz.config.document import Document, Path
from extauthz.config.faults import Fault, nearest
from extauthz.config.fields import MAX_SCOPES_LENGTH
from extauthz.config.scopes import AnyOf, Scopes, ScopeSet, Words

ScopeSets = Mapping[str, tuple[str, ...]]
"""The scopes of each set, those of the sets in it included."""


def all_sets(written: Mapping[str, Words]) -> ScopeSets:
    """What each set holds in the end, in the order of the file."""
    return {name: _held(name, written) for name in written}


def _held(name: str, written: Mapping[str, Words]) -> tuple[str, ...]:
    scopes: dict[str, None] = {}
    seen: set[str] = set()
    waiting: list[str | ScopeSet] = [ScopeSet(set=name)]
    while waiting:
        word = waiting.pop()
        if not isinstance(word, ScopeSet):
            scopes[word] = None
        elif word.set not in seen:
            seen.add(word.set)
            waiting += reversed(written.get(word.set, ()))
    return tuple(scopes)


def alternatives_of(scopes: Scopes | None, sets: ScopeSets) -> tuple[tuple[str, ...], ...]:
    """The lists of scopes that would do, with the words of sets in their places; no word twice."""
    match scopes:
        case None:
            return ()
        case AnyOf():
            return tuple(_unfolded(words, sets) for words in scopes.any_of)
        case _:
            return (_unfolded(scopes, sets),)


def _unfolded(words: Words, sets: ScopeSets) -> tuple[str, ...]:
    each = ((sets.get(word.set, ()) if isinstance(word, ScopeSet) else (word,)) for word in words)
    return tuple(dict.fromkeys(scope for some in each for scope in some))


def check_scope_sets(document: Document, sets: ScopeSets) -> Iterator[Fault]:
    """A fault for each set that is not described, stands in itself, or makes a list too long for a challenge."""
    described = document.at(("scope_sets",))
    names = [name for name in described if isinstance(name, str)] if isinstance(described, dict) else []
    for path in _lists(document, names):
        total: list[str] = []
        for index, word in _words(document, path):
            if not isinstance(word, dict):
                total.append(str(word))
                continue
            name = word.get("set")
            if isinstance(name, str) and name not in names:
                known = f"; there is {', '.join(sorted(names))}" if names else ""
                message = f"scope_sets: has no set of this name{known}"
                yield document.fault((*path, index, "set"), message, value=name, hint=nearest(name, names))
            total += sets.get(str(name), ())
        if len(" ".join(dict.fromkeys(total))) > MAX_SCOPES_LENGTH:
            yield document.fault(path, f"the scopes of a list have at most {MAX_SCOPES_LENGTH} characters together")
    for name in names:
        if name in _reached(name, document):
            message = f"the set {name} stands in itself, directly or by way of others: take out one of the steps"
            yield document.fault(("scope_sets", name), message)


def _lists(document: Document, names: list[str]) -> Iterator[Path]:
    """Where lists of scopes stand."""
    yield from (("scope_sets", name) for name in names)
    routes = document.at(("routes",))
    for number in range(len(routes) if isinstance(routes, list) else 0):
        path: Path = ("routes", number, "scopes")
        either = document.at((*path, "any_of"))
        yield from ((*path, "any_of", index) for index in range(len(either) if isinstance(either, list) else 0))
        yield path


def _words(document: Document, path: Path) -> Iterator[tuple[int, object]]:
    words = document.at(path)
    return enumerate(words if isinstance(words, list) else ())


def _reached(start: str, document: Document) -> set[str]:
    """Names of all sets in a set."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        inside = _words(document, ("scope_sets", waiting.pop()))
        named = {str(word.get("set")) for _, word in inside if isinstance(word, dict)}
        waiting += named - reached
        reached |= named
    return reached
