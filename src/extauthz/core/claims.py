"""What a route can ask of one claim of a token. A claim that is missing, or of another type, is refused."""

from dataclasses import dataclass

from extauthz.core.identity import claim_of
from extauthz.core.introspection import Active
from extauthz.core.pattern import Pattern

Scalar = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRule:
    """A condition on one claim, which is named as identity headers name it.

    Attributes:
        claim: its name, or the path to it.
        values: the claim is one of these; with `contains`, it is a list that has one of these.
        contains: whether the claim must be a list.
        pattern: the claim is a text that it matches; then there are no values.
    """

    claim: str
    values: tuple[Scalar, ...] = ()
    contains: bool = False
    pattern: Pattern | None = None

    def met_by(self, token: Active) -> bool:
        """Whether the token has such a claim."""
        found = claim_of(token, self.claim)
        if self.pattern is not None:
            return isinstance(found, str) and self.pattern.fits(found)
        if self.contains:
            return isinstance(found, list) and any(self._is_one(each) for each in found)
        return self._is_one(found)

    def _is_one(self, found: object) -> bool:
        """Types count: in Python, `True` is 1, and 1.0 is too."""
        return any(type(found) is type(value) and found == value for value in self.values)

    def __str__(self) -> str:
        if self.pattern is not None:
            return f"{self.claim} matches {self.pattern.text}"
        values = " or ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in self.values)
        return f"{self.claim} {'contains' if self.contains else 'is'} {values}"
