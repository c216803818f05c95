"""The shape of `policy.yaml`. What an author of policies may write is all here; the types are in `fields`.

Fields stand in an order that matters: a rule that compares two of them belongs to the later one.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator

from extauthz.config.conditions import ClaimEntry, Details, Where, check_where
from extauthz.config.fields import (
    MAX_IDENTITY_HEADERS,
    Claim,
    EdgeCache,
    Flag,
    Freshness,
    HeaderName,
    Host,
    Lifetime,
    Methods,
    Realm,
    RoutePath,
    RuleName,
    ScopeCatalogue,
    ScopeList,
    ScopeWord,
    ServerNames,
    Text,
    Texts,
    Timeout,
    Version,
    at_least_one,
)
from extauthz.config.jwt import Mode
from extauthz.config.scopes import Scopes, SomeWords
from extauthz.config.section import Section
from extauthz.config.values import Misfit
from extauthz.core.scopes import all_implied

TOKENLESS_KEYS = (
    "shadow",
    "audience",
    "clients",
    "issuers",
    "authorization_server",
    "mode",
    "freshness",
    "edge_cache",
    "timeout",
    "stale_if_error",
    "authorization_details",
    "actors",
    "require_sub",
    "claims",
)
"""Keys of a route that say something about a token, and so nothing about a public route."""

UNION_TAGS = frozenset({"(list)", "(any_of)", "(name)", "(mapping)"})
"""Names of the two spellings of `scopes`, of one of its words and of a header's claim; they turn up in the path of an error
and are no keys of the file."""


def _choice(servers: object) -> str:
    return "(list)" if isinstance(servers, list | tuple) else "(name)"


ServerChoice = Annotated[
    Annotated[Text, Tag("(name)")] | Annotated[ServerNames, Tag("(list)")],
    Discriminator(_choice),
]
"""The name of one server, or of several among which a token chooses."""


class HeaderClaim(Section):
    """A claim and how it is written in a header."""

    claim: Claim = Field(examples=["realm_access.roles"])
    list: Literal["space", "comma", "json"] = "space"
    non_ascii: Literal["reject", "percent", "base64url"] = "reject"


def _header_spelling(claim: object) -> str:
    return "(mapping)" if isinstance(claim, dict | HeaderClaim) else "(name)"


HeaderSource = Annotated[
    Annotated[Claim, Tag("(name)")] | Annotated[HeaderClaim, Tag("(mapping)")],
    Discriminator(_header_spelling),
]
"""The name of a claim, or a mapping that also says how it is written."""


class Defaults(Section):
    """What routes have in common unless they say otherwise."""

    authorization_server: ServerChoice | None = None
    audience: Text | None = None
    identity_headers: dict[HeaderName, HeaderSource] = Field(default={"x-auth-sub": "sub", "x-auth-scope": "scope"})
    forward_token: Flag = True

    @field_validator("identity_headers")
    @classmethod
    def _not_too_many(cls, headers: dict[str, HeaderSource]) -> dict[str, HeaderSource]:
        if len(headers) > MAX_IDENTITY_HEADERS:
            raise Misfit(f"a policy has at most {MAX_IDENTITY_HEADERS} identity headers")
        return headers


class RouteEntry(Section):
    """One route. Times are in seconds; a `freshness` of None leaves it to the cache, other times then to the server."""

    name: RuleName = Field(examples=["read-orders"])
    path: RoutePath = Field(examples=['"/orders/{id}"'])
    where: Where | None = None
    host: Host | None = None
    methods: Methods | None = None
    allow: Literal["anonymous"] | None = None
    shadow: Flag = False
    allow_preflight: Flag = False
    scopes: Scopes | None = Field(default=None, validate_default=True)
    clients: Texts | None = None
    issuers: Texts | None = None
    authorization_details: tuple[Details, ...] | None = None
    actors: Texts | None = None
    require_sub: Flag = False
    claims: Annotated[tuple[ClaimEntry, ...], at_least_one("name at least one, or take this out")] | None = None
    audience: Text | None = None
    authorization_server: ServerChoice | None = None
    mode: Mode | None = None
    freshness: Freshness = None
    edge_cache: EdgeCache = 0
    timeout: Timeout | None = None
    stale_if_error: Lifetime | None = None
    forward_token: Flag | None = None

    @field_validator("where")
    @classmethod
    def _of_its_path(cls, where: Where | None, info: ValidationInfo) -> Where | None:
        check_where(where or {}, info.data.get("path", ""))
        return where

    @field_validator("scopes")
    @classmethod
    def _allow_or_scopes(cls, scopes: Scopes | None, info: ValidationInfo) -> Scopes | None:
        if "allow" in info.data and (scopes is None) is (info.data["allow"] is None):
            raise Misfit(
                "say who may pass: scopes: [orders:read], scopes: [] for any valid token, or allow: anonymous for all"
                if scopes is None
                else "take out either scopes or allow: a public route asks for no token"
            )
        return scopes

    @field_validator(*TOKENLESS_KEYS)
    @classmethod
    def _about_a_token(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("allow") is not None:
            raise Misfit(f"take out {info.field_name}: a public route looks at no token")
        return value

    @field_validator("stale_if_error")
    @classmethod
    def _never_live(cls, stale_if_error: float | None, info: ValidationInfo) -> float | None:
        if stale_if_error and info.data.get("freshness") == 0:
            raise Misfit("freshness: live asks every time, and takes no older answer: take out one of the two")
        return stale_if_error

    @field_validator("edge_cache")
    @classmethod
    def _no_older_than_fresh(cls, edge_cache: int, info: ValidationInfo) -> int:
        freshness = info.data.get("freshness")
        if freshness is not None and edge_cache > freshness:
            raise Misfit("the gateway would keep answers longer than freshness allows: take out one of the two")
        return edge_cache


def _routes_or_include(schema: dict[str, Any]) -> None:
    """For editors, which see one file: its routes may all be in others. By then we have put them together."""
    schema["required"].remove("routes")
    schema["anyOf"] = [{"required": ["routes"]}, {"required": ["include"]}]


class PolicyFile(Section):
    """`policy.yaml`, with the routes of the files that it includes."""

    model_config = ConfigDict(json_schema_extra=_routes_or_include)

    version: Version = Field(examples=["1"])
    include: Texts | None = None
    realm: Realm = "api"
    defaults: Defaults = Defaults()
    scopes: ScopeCatalogue | None = None
    scope_implies: dict[ScopeWord, ScopeList] = Field(default={})
    scope_sets: dict[RuleName, SomeWords] = Field(default={})
    routes: tuple[RouteEntry, ...] = Field(examples=["[{name: read-orders, path: /orders, scopes: [orders:read]}]"])

    @field_validator("scope_implies")
    @classmethod
    def _in_no_circle(cls, direct: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        try:
            all_implied(direct)
        except ValueError as error:
            raise Misfit(f"{error}, directly or by way of others: take out one of the steps") from None
        return direct

    @field_validator("routes")
    @classmethod
    def _at_least_one(cls, routes: tuple[RouteEntry, ...]) -> tuple[RouteEntry, ...]:
        if not routes:
            raise Misfit("describe at least one route: without any, every request is denied")
        return routes
