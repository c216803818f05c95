"""CheckRequest → AuthRequest. Only `http.method`, `.path` and `.host` name the target; no header can."""

from google.protobuf.message import DecodeError

from extauthz._gen.extauthz_envoy_pb2 import CheckRequest, HttpRequest
from extauthz.core.decision import Reason
from extauthz.core.request import AuthRequest

DOOR = "envoy"

_AUTHORIZATION = "authorization"
_REQUEST_ID = "x-request-id"
_WANTED = frozenset({_AUTHORIZATION, _REQUEST_ID})


def decode(message: bytes) -> AuthRequest:
    """Read the question. What cannot be read is a request with a flaw, which is denied and not dropped."""
    try:
        http = CheckRequest.FromString(message).attributes.request.http
    except DecodeError:
        return AuthRequest(door=DOOR, method="", target="", flaw=Reason.BAD_METADATA)
    if not http.method or not http.path:
        return AuthRequest(door=DOOR, method=http.method, target=http.path, flaw=Reason.BAD_METADATA)
    authorization, request_id = _headers(http)
    return AuthRequest(
        door=DOOR,
        method=http.method,
        target=http.path,
        host=http.host,
        authorization=authorization,
        request_id=request_id or http.id,
    )


def _headers(http: HttpRequest) -> tuple[tuple[str, ...], str]:
    """All `authorization` values and `x-request-id`, from either form in which gateways send headers.

    With `encode_raw_headers` the bytes stand in `header_map`, one entry a line; else the map holds lines joined by
    commas. Envoy sends lower-case names, other clients of the protocol may not.
    """
    authorization: list[str] = []
    request_id = ""
    for entry in http.header_map.headers:
        name = entry.key.lower()
        if name in _WANTED:
            value = entry.raw_value.decode("latin-1") or entry.value
            if name == _REQUEST_ID:
                request_id = value
            else:
                authorization.append(value)
    for key in http.headers:
        name = key.lower()
        if name == _REQUEST_ID:
            request_id = http.headers[key]
        elif name == _AUTHORIZATION:
            authorization.append(http.headers[key])
    return tuple(authorization), request_id
