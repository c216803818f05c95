"""What a route asks of a token beside scopes, as it is written."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from extauthz.config.faults import nearest
from extauthz.config.fields import Claim, Text, Texts, at_least_one
from extauthz.config.patterns import Re2Pattern, parse_pattern
from extauthz.config.section import Section
from extauthz.config.values import Misfit, parse_text
from extauthz.core.claims import Scalar
from extauthz.core.routes import parse_path

_JUDGED_ELSEWHERE = {
    "aud": "write audience: at the route or under defaults:",
    "scope": "write scopes: at the route",
    "active": "it is judged for every token",
    "exp": "it is judged for every token",
    "nbf": "it is judged for every token",
    "iat": "nothing is decided by it",
    "token_type": "it is judged for every token",
}
"""Members of an answer that are no claims to be compared here, and what to do instead."""


def _check_elsewhere(claim: str) -> str:
    if claim in _JUDGED_ELSEWHERE:
        raise Misfit(f"{claim} is no claim for a condition: {_JUDGED_ELSEWHERE[claim]}")
    return claim


def _parse_scalar(value: object) -> Scalar:
    if isinstance(value, bool | int):
        return value
    if not isinstance(value, str):
        raise Misfit("write a text, a whole number, true or false")
    return parse_text(value)


_SCALAR = {"type": ["string", "integer", "boolean"]}
ClaimName = Annotated[Claim, AfterValidator(_check_elsewhere)]
ClaimValue = Annotated[Scalar, PlainValidator(_parse_scalar), WithJsonSchema(_SCALAR)]
ClaimValues = Annotated[tuple[ClaimValue, ...], at_least_one("name at least one value")]
Re2 = Annotated[Re2Pattern, PlainValidator(parse_pattern), WithJsonSchema({"type": "string"})]
Where = Annotated[dict[Text, Re2], at_least_one("name at least one parameter of the path, or take this out")]


def check_where(where: Where, path: str) -> None:
    """Raise unless every name is that of a parameter of the path; a path with a fault of its own is empty.

    Raises:
        Misfit: at the name.
    """
    parameters = parse_path(path).parameters if path else tuple(where)
    for name in where:
        if name not in parameters:
            known = f"; there is {', '.join(parameters)}" if parameters else ""
            raise Misfit(f"the path has no parameter {{{name}}}{known}", hint=nearest(name, parameters), at=(name,))


class Details(Section):
    """What one element of a token's `authorization_details` must have (RFC 9396)."""

    type: Text = Field(examples=["payment_initiation"])
    actions: Texts | None = None
    locations: Texts | None = None


class ClaimEntry(Section):
    """A condition on one claim; exactly one is written."""

    claim: ClaimName = Field(examples=["tenant"])
    equals: ClaimValue | None = None
    in_: ClaimValues | None = Field(default=None, alias="in")
    contains: ClaimValue | None = None
    matches: Re2 | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        written = [each for each in (self.equals, self.in_, self.contains, self.matches) if each is not None]
        if len(written) != 1:
            raise Misfit("write one of equals, in, contains or matches; for two conditions write two entries")
        return self
