"""The types of the fields in all files. Each refuses with a sentence of its own; none says how a program would see it."""

import re
from collections.abc import Callable, Hashable
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from extauthz.config.faults import nearest
from extauthz.config.values import (
    Address,
    Misfit,
    Network,
    check_url,
    parse_address,
    parse_bytes,
    parse_duration,
    parse_network,
    parse_text,
)
from extauthz.core.challenge import check_realm
from extauthz.core.identity import TOKEN_CLAIMS, TOKEN_KIND, check_header_name
from extauthz.core.paths import known_method
from extauthz.core.routes import check_host, parse_path
from extauthz.core.scopes import SCOPE_TOKEN

MAX_EDGE_CACHE = "300s"
"""Longest time that a gateway may keep an answer of ours: what is revoked meanwhile still passes there."""

MAX_IDENTITY_HEADERS = 16
"""With the headers of the answer itself, no more than twenty: clients of Envoy's protocol may refuse more."""

MAX_REALM_LENGTH = 256
MAX_SCOPES_LENGTH = 1024
"""Characters of all scopes of a list together, and of a realm: both stand in a challenge, which is one header."""

MAX_LIFETIME = "24h"
"""Longest time that an answer of an authorization server may be kept."""

MIN_CACHE_BYTES = 1024 * 1024
"""A cache with less room is a mistake."""

_REDIS_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_SERVER_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_CLAIM = re.compile(r"[!-~]{1,256}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN_PREFIX = re.compile(r"[A-Za-z0-9._~+/-]{1,64}")
_AUDIT_WORDS = ("stdout", "stderr", "off")

T = TypeVar("T")
Item = TypeVar("Item", bound=Hashable)


def _written(parse: Callable[[str], T]) -> PlainValidator:
    """A validator for a value that is written as text."""
    return PlainValidator(lambda value: parse(parse_text(value)))


def _shaped(pattern: re.Pattern[str], sentence: str) -> PlainValidator:
    """A validator for a word of a certain shape."""

    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise Misfit(sentence, hint=text.lower() if pattern.fullmatch(text.lower()) else "")
        return text

    return _written(check)


def _duration(shortest: str, longest: str) -> PlainValidator:
    """A validator for a duration within bounds, both of which are allowed; the value is in seconds."""
    low, high = parse_duration(shortest), parse_duration(longest)

    def parse(value: object) -> float:
        seconds = parse_duration(value)
        if not low <= seconds <= high:
            raise Misfit(f"write a duration from {shortest} to {longest}")
        return seconds

    return PlainValidator(parse)


def _check_size(value: object) -> int:
    size = parse_bytes(value)
    if size < MIN_CACHE_BYTES:
        raise Misfit("write 1MiB or more: less holds hardly anything")
    return size


def _whole(smallest: int, largest: int) -> PlainValidator:
    """A validator for a whole number within bounds, both of which are allowed."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
            raise Misfit(f"write a whole number from {smallest} to {largest}")
        return value

    return PlainValidator(parse)


def at_least_one(sentence: str) -> AfterValidator:
    """A validator for a list or mapping that must not be empty."""

    def check(entries: T) -> T:
        if not entries:
            raise Misfit(sentence)
        return entries

    return AfterValidator(check)


def once_each(entries: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the entries unchanged; one that stands there twice is a mistake."""
    seen: set[Item] = set()
    for index, entry in enumerate(entries):
        if entry in seen:
            raise Misfit("this stands twice in the list", at=(index,))
        seen.add(entry)
    return entries


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Misfit("write true or false", hint=nearest(value, ("true", "false")) if isinstance(value, str) else "")
    return value


def _check_version(value: object) -> int:
    if isinstance(value, bool) or value != 1:
        raise Misfit("write version: 1, the only version of this file that there is")
    return 1


def _check_path(text: str) -> str:
    if "?" in text:
        raise Misfit("a route is chosen by its path alone: leave out ? and what follows", hint=text.partition("?")[0])
    parse_path(text)
    return text


def _check_method(text: str) -> str:
    if not known_method(text):
        hint = text.upper() if known_method(text.upper()) else ""
        raise Misfit("a method is written in upper case, such as GET", hint=hint)
    return text


def _check_realm(text: str) -> str:
    if len(text) > MAX_REALM_LENGTH:
        raise Misfit(f"a realm has at most {MAX_REALM_LENGTH} characters")
    return check_realm(text)


def _check_scopes_length(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(" ".join(words)) > MAX_SCOPES_LENGTH:
        raise Misfit(f"the scopes of a list have at most {MAX_SCOPES_LENGTH} characters together")
    return words


def _check_scope_word(text: str) -> str:
    if SCOPE_TOKEN.fullmatch(text) is None:
        hint = ", ".join(text.split()) if " " in text else ""
        raise Misfit("a scope is one ASCII word without spaces, quotes or backslashes", hint=hint)
    return text


def _check_claim(text: str) -> str:
    known = (*TOKEN_CLAIMS, TOKEN_KIND)
    near = nearest(text, known)
    if text not in known and (_CLAIM.fullmatch(text) is None or near.lower() == text.lower()):
        raise Misfit("name a claim of the token, such as sub or email, or a path such as realm_access.roles", hint=near)
    return text


def _check_header(text: str) -> str:
    try:
        return check_header_name(text)
    except ValueError as error:
        lower = text.lower().replace("_", "-")
        raise Misfit(str(error), hint=lower if lower != text else "") from None


def _check_audit_path(text: str) -> str:
    if text not in _AUDIT_WORDS and "/" not in text:
        raise Misfit("write stdout, stderr, off, or a file with a / in its path", hint=nearest(text, _AUDIT_WORDS))
    return text


def _parse_mode(text: str) -> int:
    if re.fullmatch(r"0?[0-7]{3}", text) is None:
        raise Misfit('write the mode of the socket file in quotes, such as "0660"')
    return int(text, 8)


def _parse_freshness(value: object) -> float | None:
    if value in ("live", "default"):
        return 0.0 if value == "live" else None
    try:
        seconds = parse_duration(value)
    except Misfit as misfit:
        near = nearest(value, ("live", "default")) if isinstance(value, str) else ""
        raise Misfit("write live, default, or an age with a unit, such as 10s", hint=near or misfit.hint) from None
    if seconds > parse_duration(MAX_LIFETIME):
        raise Misfit(f"write an age of at most {MAX_LIFETIME}")
    return seconds


def _parse_edge_cache(value: object) -> int:
    seconds = parse_duration(value)
    if seconds > parse_duration(MAX_EDGE_CACHE):
        raise Misfit(f"write a duration from 0s to {MAX_EDGE_CACHE}")
    if seconds != int(seconds):
        raise Misfit("write whole seconds, such as 5s: gateways count no fractions")
    return int(seconds)


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"})
_TEXT_SCHEMA = WithJsonSchema({"type": "string"})
_PATH_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^/"})
_METHOD_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^[A-Z][A-Z0-9_-]*$"})
_NAME_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{_RULE_NAME.pattern}$"})
_SCOPE_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[!#-\[\]-~]+$"})
_FRESHNESS_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^(live|default|[0-9]+(\.[0-9]+)?(ms|s|m|h))$"})

Flag = Annotated[bool, PlainValidator(_check_flag), WithJsonSchema({"type": "boolean"})]
Text = Annotated[str, PlainValidator(parse_text), _TEXT_SCHEMA]

# extauthz.yaml; durations are seconds once they are read.
ListenAddress = Annotated[Address, PlainValidator(parse_address), _TEXT_SCHEMA]
TrustedNetwork = Annotated[Network, _written(parse_network), _TEXT_SCHEMA]
Url = Annotated[str, _written(check_url), _TEXT_SCHEMA]
Variable = Annotated[
    str, _shaped(_VARIABLE, "write the name of an environment variable, such as CLIENT_SECRET"), _TEXT_SCHEMA
]
ServerName = Annotated[
    str, _shaped(_SERVER_NAME, "a name is lower-case letters, digits, - and _, starting with a letter"), _TEXT_SCHEMA
]
AuditPath = Annotated[str, _written(_check_audit_path), _TEXT_SCHEMA]
Workers = Annotated[int, _whole(1, 256), WithJsonSchema({"type": "integer"})]
Connections = Annotated[int, _whole(1, 10_000), WithJsonSchema({"type": "integer"})]
Entries = Annotated[int, _whole(1, 10_000_000), WithJsonSchema({"type": "integer"})]
CacheBytes = Annotated[int, PlainValidator(_check_size), _TEXT_SCHEMA]
RedisPrefix = Annotated[str, _shaped(_REDIS_PREFIX, "a prefix is letters, digits, - _ and ."), _TEXT_SCHEMA]
Retries = Annotated[int, _whole(0, 10), WithJsonSchema({"type": "integer"})]
Waiting = Annotated[int, _whole(0, 1_000_000), WithJsonSchema({"type": "integer"})]
Results = Annotated[int, _whole(1, 10_000), WithJsonSchema({"type": "integer"})]
TokenLength = Annotated[int, _whole(1, 16_384), WithJsonSchema({"type": "integer"})]
TokenPrefix = Annotated[
    str, _shaped(_TOKEN_PREFIX, "a token begins with letters, digits and - . _ ~ + / as in ory_at_"), _TEXT_SCHEMA
]
BatchSize = Annotated[int, _whole(2, 1000), WithJsonSchema({"type": "integer"})]
BatchDelay = Annotated[float, _duration("0s", "1s"), _DURATION_SCHEMA]
Pause = Annotated[float, _duration("100ms", "10m"), _DURATION_SCHEMA]
PerMinute = Annotated[int, _whole(1, 1_000_000), WithJsonSchema({"type": "integer"})]
DrainDelay = Annotated[float, _duration("0s", "10m"), _DURATION_SCHEMA]
Timeout = Annotated[float, _duration("10ms", "30s"), _DURATION_SCHEMA]
Settle = Annotated[float, _duration("10ms", "10s"), _DURATION_SCHEMA]
Leeway = Annotated[float, _duration("0s", "300s"), _DURATION_SCHEMA]
Lifetime = Annotated[float, _duration("0s", MAX_LIFETIME), _DURATION_SCHEMA]

Dialect = Literal["nginx", "forward-auth", "envoy", "gateway-api"]
"""A way in which gateways ask over HTTP."""
Dialects = Annotated[tuple[Dialect, ...], AfterValidator(once_each)]
SocketMode = Annotated[int, _written(_parse_mode), _TEXT_SCHEMA]

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
Algorithms = Annotated[
    tuple[Algorithm, ...], AfterValidator(once_each), at_least_one("name at least one algorithm, such as RS256")
]
TokenTypes = Annotated[
    tuple[Literal["at+jwt", "JWT"], ...], AfterValidator(once_each), at_least_one("name at least one type: at+jwt")
]
Audiences = Annotated[tuple[Text, ...], AfterValidator(once_each)]

# policy.yaml
Version = Annotated[Literal[1], PlainValidator(_check_version), WithJsonSchema({"const": 1})]
RuleName = Annotated[
    str,
    _shaped(_RULE_NAME, "a name is lower-case letters, digits, - _ and ., starting with a letter or digit"),
    _NAME_SCHEMA,
]
Realm = Annotated[str, _written(_check_realm), _TEXT_SCHEMA]
RoutePath = Annotated[str, _written(_check_path), _PATH_SCHEMA]
Host = Annotated[str, _written(check_host), _TEXT_SCHEMA]
Method = Annotated[str, _written(_check_method), _METHOD_SCHEMA]
Methods = Annotated[
    tuple[Method, ...],
    AfterValidator(once_each),
    at_least_one("name at least one method, or take methods out to mean all of them"),
]
ServerNames = Annotated[tuple[Text, ...], AfterValidator(once_each), at_least_one("name at least one server")]
ScopeWord = Annotated[str, _written(_check_scope_word), _SCOPE_SCHEMA]
ScopeList = Annotated[tuple[ScopeWord, ...], AfterValidator(once_each), AfterValidator(_check_scopes_length)]
ScopeCatalogue = Annotated[
    tuple[ScopeWord, ...], AfterValidator(once_each), at_least_one("name all scopes that there are, or take this out")
]
HeaderName = Annotated[str, _written(_check_header), _TEXT_SCHEMA]
Claim = Annotated[str, _written(_check_claim), _TEXT_SCHEMA]
ClaimNames = Annotated[
    tuple[Claim, ...], AfterValidator(once_each), at_least_one("name at least one claim, such as scope")
]
Texts = Annotated[tuple[Text, ...], AfterValidator(once_each), at_least_one("name at least one, or take this out")]
Freshness = Annotated[float | None, PlainValidator(_parse_freshness), _FRESHNESS_SCHEMA]
EdgeCache = Annotated[int, PlainValidator(_parse_edge_cache), _DURATION_SCHEMA]
