"""CheckRequest → AuthRequest. Only `http.method`, `.path` and `.host` name the target; no header can."""

from google.protobuf.message import DecodeError

from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, HttpRequest
from extauthz.core.decision import Reason
from extauthz.core.request import AuthRequest
from extauthz.core.scopes import parse_scope

DOOR = "envoy"

REQUIRED_SCOPE = "required_scope"
"""The entry of `context_extensions` (in Contour: of the authorization context) that may ask for more scopes."""

_AUTHORIZATION = "authorization"
_REQUEST_ID = "x-request-id"


def decode(
    message: bytes, *, patience: float | None = None, read_extensions: bool = False, read_source: bool = False
) -> AuthRequest:
    """Read the question. What cannot be read is a request with a flaw, which is denied and not dropped.

    Args:
        message: a serialized CheckRequest.
        patience: seconds that the gateway will wait for the answer, when it said so.
        read_extensions: whether `context_extensions.required_scope` adds scopes to what the rule asks for.
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
    authorization, request_id = _headers(http)
    request_id = request_id or http.id
    added_scopes, flaw = _added_scopes(attributes) if read_extensions else ((), None)
    source = attributes.source.address.socket_address.address if read_source else ""
    return AuthRequest(  # in the order of the fields, because names cost as much as the rest
        DOOR, method, target, http.host, authorization, request_id, added_scopes, patience, source, flaw
    )


def _added_scopes(attributes: AttributeContext) -> tuple[tuple[str, ...], Reason | None]:
    """The scopes in `required_scope`; a value that is no list of scopes is the operator's mistake, and denies."""
    if REQUIRED_SCOPE not in attributes.context_extensions:
        return (), None
    try:
        return parse_scope(attributes.context_extensions[REQUIRED_SCOPE]), None
    except ValueError:
        return (), Reason.MISCONFIGURED_GATEWAY


def _headers(http: HttpRequest) -> tuple[tuple[str, ...], str]:
    """All `authorization` values and `x-request-id`, from either form in which gateways send headers.

    With `encode_raw_headers` the bytes stand in `header_map`, one entry a line; else the map holds lines joined by
    commas. Envoy sends lower-case names, other clients of the protocol may not.
    """
    authorization: tuple[str, ...] = ()
    request_id = ""
    for entry in http.header_map.headers:
        name = entry.key.lower()
        if name == _AUTHORIZATION:
            authorization += (entry.raw_value.decode("latin-1") or entry.value,)
        elif name == _REQUEST_ID:
            request_id = entry.raw_value.decode("latin-1") or entry.value
    headers = http.headers
    for key in headers or ():
        name = key.lower()
        if name == _AUTHORIZATION:
            authorization += (headers[key],)
        elif name == _REQUEST_ID:
            request_id = headers[key]
    return authorization, request_id
