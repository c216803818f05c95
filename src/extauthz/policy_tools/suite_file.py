"""The shape of a file of policy tests. What may be written in one is all here; docs/policy.md tells it with examples."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from extauthz.config.faults import nearest
from extauthz.config.fields import Method, Text, Texts
from extauthz.config.section import Section
from extauthz.config.values import Misfit, parse_text
from extauthz.core.decision import Reason
from extauthz.core.paths import known_method
from extauthz.policy_tools.ask import Url, read_url
from extauthz.policy_tools.pretend import Pretended

_REASONS = [reason.value for reason in Reason]


def _parse_request(value: object) -> tuple[str, Url]:
    method, _, url = parse_text(value).partition(" ")
    sentence = "write a method and a URL or path, such as GET https://api.example.com/orders/1"
    try:
        found = read_url(url.strip())
    except ValueError:
        raise Misfit(sentence) from None
    if not known_method(method):
        raise Misfit(sentence, hint=f"{method.upper()} {url}" if known_method(method.upper()) else "")
    return method, found


def _check_reason(value: object) -> Reason:
    text = parse_text(value)
    if text not in _REASONS:
        raise Misfit("write a reason as the audit log has it, such as insufficient_scope", hint=nearest(text, _REASONS))
    return Reason(text)


def _check_status(value: object) -> int:
    if isinstance(value, bool) or value not in (200, 400, 401, 403, 429, 500, 503):
        raise Misfit("write the status that the client gets: 200, 400, 401, 403, 429, 500 or 503")
    return int(str(value))


def _spelling(value: object) -> str:
    if isinstance(value, list | tuple):
        return "(list)"
    return "(mapping)" if isinstance(value, dict | Section) else "(name)"


_TEXT = WithJsonSchema({"type": "string"})
RequestLine = Annotated[tuple[str, Url], PlainValidator(_parse_request), _TEXT]
ReasonWord = Annotated[Reason, PlainValidator(_check_reason), WithJsonSchema({"enum": _REASONS})]
Status = Annotated[int, PlainValidator(_check_status), WithJsonSchema({"type": "integer"})]


class Token(Section):
    """A token as it might be: active, and what is said here; for the route's audience and of its issuer unless `aud` or `iss` is written."""

    scope: Text | None = None
    sub: Text | None = None
    client_id: Text | None = None
    aud: Texts | None = None
    iss: Text | None = None
    claims: dict[Text, Any] = Field(default={})

    def pretended(self) -> Pretended:
        """The same for the engine; a mapping with nothing in it is an active token all the same."""
        return Pretended(
            scope=self.scope or "",
            sub=self.sub,
            client_id=self.client_id,
            aud=self.aud,
            iss=self.iss,
            claims=self.claims,
        )


class Expected(Section):
    """How it must end; what is not said may be anything. `rule` of `none` is that no route was found."""

    outcome: Literal["allow", "deny"] | None = None
    status: Status | None = None
    reason: ReasonWord | None = None
    rule: Text | None = None
    missing: Texts | None = None
    identity: dict[Text, Text] | None = None


TokenSaid = Annotated[
    Annotated[Literal["none", "inactive", "expired"], Tag("(name)")] | Annotated[Token, Tag("(mapping)")],
    Discriminator(_spelling),
]
ExpectedSaid = Annotated[
    Annotated[Literal["allow", "deny"], Tag("(name)")] | Annotated[Expected, Tag("(mapping)")], Discriminator(_spelling)
]


def _some(requests: tuple[tuple[str, Url], ...]) -> tuple[tuple[str, Url], ...]:
    if not requests:
        raise Misfit("write at least one request")
    return requests


RequestSaid = Annotated[
    Annotated[RequestLine, Tag("(name)")] | Annotated[tuple[RequestLine, ...], AfterValidator(_some), Tag("(list)")],
    Discriminator(_spelling),
]


class Case(Section):
    """One test: requests that all end the same way. `preflight` is the method that a CORS preflight announces."""

    name: Text = Field(examples=["readers read orders"])
    request: RequestSaid = Field(examples=["GET https://api.example.com/orders/1"])
    preflight: Method | None = None
    token: TokenSaid = "none"  # noqa: S105 - a word for none
    expect: ExpectedSaid = Field(examples=["allow"])

    def requests(self) -> tuple[tuple[str, Url], ...]:
        """All of them."""
        one_or_more: tuple[Any, ...] = self.request
        return (self.request,) if isinstance(one_or_more[0], str) else one_or_more

    def pretended(self) -> Pretended:
        """The token."""
        match self.token:
            case Token():
                return self.token.pretended()
            case "inactive":
                return Pretended(inactive=True)
            case "expired":
                return Pretended(expired=True)
            case _:
                return Pretended()

    def expected(self) -> Expected:
        """How it must end."""
        return self.expect if isinstance(self.expect, Expected) else Expected(outcome=self.expect)


class SuiteFile(Section):
    """A file of tests, and the policy file that they are about, relative to it."""

    policy: Text | None = None
    tests: tuple[Case, ...] = Field(examples=["[{name: …, request: GET /orders/1, expect: allow}]"])
