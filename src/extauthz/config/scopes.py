"""How the scopes of a route are written: words, named sets of them, and lists one of which will do."""

from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from extauthz.config.fields import ScopeWord, Text, at_least_one, once_each
from extauthz.config.section import Section
from extauthz.config.values import Misfit


class ScopeSet(Section):
    """All scopes of a set of `scope_sets`. A mapping, because any word could be a scope."""

    set: Text = Field(examples=["editors"])


def _word_spelling(word: object) -> str:
    return "(mapping)" if isinstance(word, dict | ScopeSet) else "(name)"


WordOrSet = Annotated[
    Annotated[ScopeWord, Tag("(name)")] | Annotated[ScopeSet, Tag("(mapping)")],
    Discriminator(_word_spelling),
]
Words = Annotated[tuple[WordOrSet, ...], AfterValidator(once_each)]
"""Scopes and sets of them; how long they are together is seen when the sets are known."""
SomeWords = Annotated[
    Words,
    at_least_one("an empty list here lets every valid token pass: if that is meant, write scopes: [] at the route"),
]
Alternatives = Annotated[tuple[SomeWords, ...], at_least_one("name at least one list of scopes")]


class AnyOf(Section):
    """Lists of scopes, one of which a token must hold completely."""

    any_of: Alternatives = Field(examples=["[[orders:admin], [orders:read, orders:write]]"])

    @model_validator(mode="before")
    @classmethod
    def _no_set(cls, written: object) -> object:
        if isinstance(written, dict) and "set" in written:
            raise Misfit("a set is an entry of a list", hint=f"[{{set: {written['set']}}}]")
        return written


def _spelling(scopes: object) -> str:
    return "(any_of)" if isinstance(scopes, dict | AnyOf) else "(list)"


Scopes = Annotated[
    Annotated[Words, Tag("(list)")] | Annotated[AnyOf, Tag("(any_of)")],
    Discriminator(_spelling),
]
"""A list means all of it; an empty one means any valid token."""
