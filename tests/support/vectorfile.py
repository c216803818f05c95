"""The shape of a file of vectors. What may be written in one is all here, and told with examples in tests/vectors."""

import json
import re
import time
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from extauthz.config.faults import nearest
from extauthz.config.fields import Text
from extauthz.config.section import Section
from extauthz.config.values import Misfit
from support.stub_server import JSON, Reply, active

PLACES = {
    "grpc": "our gRPC door, in whatever form it is asked",
    "grpc map": "our gRPC door, asked as Envoy asks without `encode_raw_headers`",
    "http": "our HTTP door, in every dialect",
    "http nginx": "our HTTP door, asked as gateway/nginx.conf asks",
    "http ingress-nginx": "our HTTP door, asked as ingress-nginx asks",
    "http gateway-api": "our HTTP door, asked as NGINX Gateway Fabric asks",
    "http forward-auth": "our HTTP door, asked as Traefik and Caddy ask",
    "http envoy": "our HTTP door, asked as Envoy's `http_service` asks",
    "envoy": "Envoy, in every release and protocol",
    "envoy newest": "the newest Envoy that we run with",
    "envoy 1.36": "the oldest Envoy that we run with",
    "envoy http_service": "Envoy with `http_service`",
    "nginx": "NGINX, whoever wrote its configuration",
    "ingress-nginx": "NGINX as ingress-nginx configures it",
    "nginx gateway fabric": "NGINX as NGINX Gateway Fabric configures it",
    "caddy": "Caddy",
}
"""Where a request can end otherwise, by the names that `differs` uses."""

STATEMENTS = {"O": 17, "S": 97, "E": 90, "N": 65}
"""The lists of statements that `shows` names, and how long each is: of the standards, of Envoy and of NGINX."""

# ---- types ------------------------------------------------------------------------------------------------------


def _octets(value: object) -> str:
    pieces = value if isinstance(value, list) else [value]
    return "".join(map(_piece, pieces))


def _piece(value: object) -> str:
    if isinstance(value, dict) and value.keys() == {"repeat", "times"} and isinstance(value["times"], int):
        return _piece(value["repeat"]) * value["times"]
    if isinstance(value, bool | int):
        raise Misfit("this must be text: put quotes around it", hint=f'"{str(value).lower()}"')
    if not isinstance(value, str):
        raise Misfit("write text, or a list of pieces, each of them text or {repeat: text, times: number}")
    if any(character > "\xff" for character in value):
        raise Misfit(r'a character is one octet here: write "\xe2\x82\xac" and not "€"')
    return value


def _body(value: object) -> object:
    return value if isinstance(value, dict) else _octets(value)


def _whole(value: object, *, smallest: int, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise Misfit(f"write a whole number from {smallest} to {largest}")
    return value


def _header(value: object) -> tuple[str, str]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Misfit("a header is a list of two: [name, value]")
    name, text = map(_octets, value)
    if name.lower() == "authorization":
        raise Misfit("write it under authorization:")
    return name, text


def _place(value: str) -> str:
    if value not in PLACES:
        raise Misfit(f"write one of {', '.join(PLACES)}", hint=nearest(value, PLACES))
    return value


def _statement(value: object) -> str:
    found = re.fullmatch("([A-Z])([1-9][0-9]?)", value) if isinstance(value, str) else None
    if found is None or int(found[2]) > STATEMENTS.get(found[1], 0):
        known = ", ".join(f"{letter}1 to {letter}{last}" for letter, last in STATEMENTS.items())
        raise Misfit(f"name a statement, {known}")
    return found[0]


def _once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise Misfit("name each statement once")
    return values


Octets = Annotated[str, PlainValidator(_octets)]
"""Text of which each character is one octet; also a list of pieces."""

Status = Annotated[int, PlainValidator(partial(_whole, smallest=0, largest=599))]
Seconds = Annotated[int, PlainValidator(partial(_whole, smallest=0, largest=86_400))]
Header = Annotated[tuple[str, str], PlainValidator(_header)]
Place = Annotated[str, PlainValidator(_place)]
Statement = Annotated[str, PlainValidator(_statement)]

# ---- sections ---------------------------------------------------------------------------------------------------


class Request(Section):
    """What a client sends. `authorization` are the lines of that header, `headers` all others."""

    method: Octets = "GET"
    target: Octets = "/orders/1"
    host: Octets = "api.example.com"
    authorization: tuple[Octets, ...] = ()
    headers: tuple[Header, ...] = ()


class Seen(Section):
    """How a request ends, for the client and for the upstream.

    Attributes:
        status: for the client; 0 where the connection ends without an answer.
        challenge: the one `WWW-Authenticate`, or empty.
        reason: our word, or empty where a gateway refused by itself.
        retry_after: seconds, as told to the client; 0 where nothing is told.
        identity: identity headers that the upstream saw; None when it was not called.
    """

    status: Status = Field(examples=["200"])
    challenge: Octets = ""
    reason: Octets = ""
    retry_after: Seconds = 0
    identity: dict[str, Octets] | None = None


class Difference(Seen):
    """How a request ends otherwise somewhere, and why."""

    because: Text = Field(examples=["slashes are merged before we are asked"])

    @property
    def seen(self) -> Seen:
        """The outcome alone."""
        return Seen(**{name: getattr(self, name) for name in Seen.model_fields})


class Vector(Section):
    """One request and how it ends. `before` are requests that are sent first, however they end."""

    name: Text = Field(examples=["a good token"])
    note: Text = ""
    before: tuple[Request, ...] = ()
    request: Request = Request()
    expected: Seen = Field(examples=["{status: 403, reason: no_route}"])
    differs: dict[Place, Difference] = Field(default_factory=dict)
    shows: Annotated[tuple[Statement, ...], AfterValidator(_once_each)] = ()


class Said(Section):
    """What the authorization server says about a token: the usual answer with `members` in it, or another `body`."""

    status: Status = 200
    content_type: Octets = JSON
    headers: dict[str, Octets] = Field(default_factory=dict)
    members: dict[str, Any] = Field(default_factory=dict)
    without: tuple[Octets, ...] = ()
    body: Annotated[Any, PlainValidator(_body)] = None
    sent: Literal["at once", "late", "slowly", "never"] = "at once"

    def reply(self) -> Reply:
        """The answer as of now."""
        return Reply(
            status=self.status,
            body=self._content(time.time()),
            content_type=self.content_type,
            headers=self.headers,
            slow=self.sent == "late",
            drip=self.sent == "slowly",
            dropped=self.sent == "never",
        )

    def _content(self, now: float) -> bytes:
        if isinstance(self.body, dict):
            return json.dumps(_dated(self.body, now)).encode()
        if self.body is not None:
            return str(self.body).encode("latin-1")
        changes = _dated(self.members, now) | dict.fromkeys(self.without)
        return active(**changes).body if self.status == 200 else b""


def _dated(value: Any, now: float) -> Any:  # noqa: ANN401 - any JSON value
    """The same with a time for each `{now: seconds}` in it."""
    if isinstance(value, list):
        return [_dated(one, now) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"now"}:
        return int(now) + int(value["now"])
    return {name: _dated(one, now) for name, one in value.items()}


class VectorFile(Section):
    """One file: what it is about, the policy that it needs, tokens, and vectors."""

    about: Text = Field(examples=["RFC 6750 section 2.1: what is a bearer token"])
    policy: Text = "main"
    answers: dict[str, Said] = Field(default_factory=dict)
    cases: tuple[Vector, ...] = ()
