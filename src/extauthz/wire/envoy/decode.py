"""CheckRequest → AuthRequest. Only `http.method`, `.path` and `.host` name the target; no header can."""

from google.protobuf.message import DecodeError

from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, HttpRequest
from extauthz.core.decision import Reason
from extauthz.core.preflight import METHOD, ORIGIN, REQUEST_METHOD, announced_method
from extauthz.core.request import AuthRequest
from extauthz.core.scopes import parse_scope
from extauthz.core.trace import TRACEPARENT

DOOR = "envoy"

REQUIRED_SCOPE = "required_scope"
"""The entry of `context_extensions` (in Contour: of the authorization context) that may ask for more scopes."""

NAMESPACE = "extauthz"
"""The namespace of a route's metadata where the same entry may stand."""

MAX_ADDED_LENGTH = 1024
"""Characters of a list of added scopes, which stand in a challenge together with those of the rule."""

_AUTHORIZATION = "authorization"
_REQUEST_ID = "x-request-id"


def decode(
    message: bytes,
    *,
    patience: float | None = None,
    trace: str = "",
    read_extensions: bool = False,
    read_source: bool = False,
) -> AuthRequest:
    """Read the question. What cannot be read is a request with a flaw, which is denied and not dropped.

    Args:
        message: a serialized CheckRequest.
        patience: seconds that the gateway will wait for the answer, when it said so.
        trace: the `traceparent` of the question itself; without one, that of the request counts.
        read_extensions: whether `required_scope` of the route, in `context_extensions` or in the route's metadata,
            adds scopes to what the rule asks for.
        read_source: whether anybody wants to know the client's address.
    """
    try:
        attributes = CheckRequest.FromString(message).attributes
    except DecodeError:
        return AuthRequest(door=DOOR, method="", target="", flaw=Reason.BAD_METADATA)
    http = attributes.request.http
    method, target = http.method, http.path
    if not method or not target:
        return AuthRequest(door=DOOR, method=method, target=target, flaw=Reason.BAD_METADATA)
    authorization, request_id, their_trace = _headers(http)
    preflight = _preflight(http) if method == METHOD else ""
    added_scopes, flaw = _added_scopes(attributes) if read_extensions else ((), None)
    return AuthRequest(  # in the order of the fields, because names cost as much as the rest
        DOOR,
        method,
        target,
        http.host,
        authorization,
        request_id or http.id,
        added_scopes,
        patience,
        attributes.source.address.socket_address.address if read_source else "",
        flaw,
        preflight,
        trace or their_trace,
    )


def _preflight(http: HttpRequest) -> str:
    """The method that a CORS preflight announces."""
    return announced_method(http.method, _values(http, ORIGIN), _values(http, REQUEST_METHOD))


def _values(http: HttpRequest, name: str) -> list[str]:
    """All values of a header, from either form."""
    lines = [
        each.raw_value.decode("latin-1") or each.value for each in http.header_map.headers if each.key.lower() == name
    ]
    return lines + [http.headers[key] for key in http.headers if key.lower() == name]


def _added_scopes(attributes: AttributeContext) -> tuple[tuple[str, ...], Reason | None]:
    """The scopes that the gateway asks for; a value that is no list of scopes is the operator's mistake, and denies."""
    said = []
    if REQUIRED_SCOPE in attributes.context_extensions:
        said.append(attributes.context_extensions[REQUIRED_SCOPE])
    metadata = attributes.route_metadata_context.filter_metadata
    if NAMESPACE in metadata and REQUIRED_SCOPE in metadata[NAMESPACE].fields:
        said.append(metadata[NAMESPACE].fields[REQUIRED_SCOPE].string_value)
    try:
        words = [word for text in said for word in parse_scope(text)]
    except ValueError:
        return (), Reason.MISCONFIGURED_GATEWAY
    fits = len(" ".join(words)) <= MAX_ADDED_LENGTH
    return (tuple(dict.fromkeys(words)), None) if fits else ((), Reason.MISCONFIGURED_GATEWAY)


def _headers(http: HttpRequest) -> tuple[tuple[str, ...], str, str]:
    """All `authorization` values, `x-request-id` and `traceparent`, from either form in which gateways send headers.

    With `encode_raw_headers` the bytes stand in `header_map`, one entry a line; else the map holds lines joined by
    commas. Envoy sends lower-case names, other clients of the protocol may not.
    """
    authorization: tuple[str, ...] = ()
    request_id = trace = ""
    for entry in http.header_map.headers:
        name = entry.key.lower()
        if name == _AUTHORIZATION:
            authorization += (entry.raw_value.decode("latin-1") or entry.value,)
        elif name == _REQUEST_ID:
            request_id = entry.raw_value.decode("latin-1") or entry.value
        elif name == TRACEPARENT:
            trace = entry.raw_value.decode("latin-1") or entry.value
    headers = http.headers
    for key in headers or ():
        name = key.lower()
        if name == _AUTHORIZATION:
            authorization += (headers[key],)
        elif name == _REQUEST_ID:
            request_id = headers[key]
        elif name == TRACEPARENT:
            trace = headers[key]
    return authorization, request_id, trace
