"""Decision → CheckResponse. `status.code` is Envoy's only switch, so it is set in one place for each verdict.

Answers depend on the decision alone, and few decisions are common: the bytes are kept for the next time.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import assert_never

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from extauthz._gen.extauthz_envoy_pb2 import (
    BoolValue,
    CheckResponse,
    DeniedHttpResponse,
    HeaderValue,
    HeaderValueOption,
    HttpStatus,
    OkHttpResponse,
    Status,
)
from extauthz.core.decision import EXPOSED, OUTAGES, Allow, Code, Decision, Deny, Reason
from extauthz.core.identity import Headers, removals
from extauthz.observe.events import DECISION_ID_LENGTH, Checked

_REMEMBERED_ANSWERS = 16_384
_LONGEST_REMEMBERED = 2048
"""Characters of what a token says; more is written out each time, so that what is remembered cannot grow large."""

_LEFT_TO_GATEWAY = OUTAGES - {Reason.SERVER_ANSWER_INVALID, Reason.OVERLOADED}
"""Not what clients can bring about, by one odd token to which the server answers something odd, or by very many."""


def encode(decision: Decision, *, outage_is_error: bool = False) -> bytes:
    """The serialized CheckResponse without metadata.

    With `outage_is_error` a denial for an outage goes out as `error_response`, and the gateway's own failure mode
    decides; otherwise it is a denial like any other.
    """
    match decision:
        case Allow():
            return _allow(decision.identity, decision.absent)
        case Deny():
            return _deny(decision, outage_is_error=outage_is_error)
        case _:
            assert_never(decision)


def left_to_gateway(decision: Decision) -> bool:
    """Whether `outage_is_error` makes a difference to this decision."""
    return decision.reason in _LEFT_TO_GATEWAY


def metadata(event: Checked) -> bytes:
    """The same CheckResponse's `dynamic_metadata`, for the access log: serialized messages that are joined are merged."""
    decision = event.decision
    rule = _rule_metadata(decision.reason, decision.rule)
    sub, client_id, scope = event.sub, event.client_id, event.scope
    short = len(sub or "") + len(client_id or "") + len(scope) <= _LONGEST_REMEMBERED
    token = (_remembered_token_metadata if short else _token_metadata)(sub, client_id, scope)
    return rule + token + _decision_id(event.decision_id)


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def _rule_metadata(reason: Reason, rule: str) -> bytes:
    return _metadata({"reason": reason.value, "rule": rule})


def _token_metadata(sub: str | None, client_id: str | None, scope: str) -> bytes:
    """A new token mostly has what others have, but for its subject."""
    short = len(client_id or "") + len(scope) <= _LONGEST_REMEMBERED
    shared = (_remembered_grant_metadata if short else _grant_metadata)(client_id, scope)
    return _metadata({"sub": sub}) + shared if sub else shared


def _grant_metadata(client_id: str | None, scope: str) -> bytes:
    known = {"client_id": client_id, "scope": scope.split()}
    return _metadata({name: value for name, value in known.items() if value})


_remembered_grant_metadata = lru_cache(maxsize=1024)(_grant_metadata)
_remembered_token_metadata = lru_cache(maxsize=_REMEMBERED_ANSWERS)(_token_metadata)


def _decision_id(text: str) -> bytes:
    """Its text stands last in the message, so for the usual length all that comes before is known."""
    return _ID_HEAD + text.encode() if len(text) == DECISION_ID_LENGTH else _metadata({"decision_id": text})


def _metadata(fields: Mapping[str, str | list[str]]) -> bytes:
    said = Struct(fields={name: _value(value) for name, value in fields.items()})
    return CheckResponse(dynamic_metadata=said).SerializeToString()


def _value(value: str | list[str]) -> Value:
    if isinstance(value, str):
        return Value(string_value=value)
    return Value(list_value=ListValue(values=[Value(string_value=word) for word in value]))


_ID_HEAD = _metadata({"decision_id": "0" * DECISION_ID_LENGTH})[:-DECISION_ID_LENGTH]


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def _allow(identity: Headers, absent: tuple[str, ...]) -> bytes:
    """An allow says nothing about the rule: all requests of one token share these bytes."""
    ok = OkHttpResponse(
        headers=[_header(name, value) for name, value in identity],
        headers_to_remove=removals((name for name, _ in identity), absent),
    )
    return CheckResponse(status=Status(code=Code.OK), ok_response=ok).SerializeToString()


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def _deny(deny: Deny, *, outage_is_error: bool) -> bytes:
    outcome = deny.outcome
    headers = [
        _header("content-type", "application/json"),
        _header("cache-control", "no-store"),
        _header("x-authz-reason", deny.reason.value),
    ]
    if deny.challenge:
        headers.append(_header("www-authenticate", deny.challenge))
    if deny.challenge and deny.cross_origin:
        headers.append(_header(*EXPOSED))
    if deny.retry_after:
        headers.append(_header("retry-after", str(deny.retry_after)))
    denied = DeniedHttpResponse(
        status=HttpStatus(code=outcome.status), headers=headers, body=f'{{"error":"{deny.reason.value}"}}'
    )
    status = Status(code=outcome.code)
    if outage_is_error and left_to_gateway(deny):
        return CheckResponse(status=status, error_response=denied).SerializeToString()
    return CheckResponse(status=status, denied_response=denied).SerializeToString()


def _header(name: str, value: str) -> HeaderValueOption:
    """A header that replaces: Envoy reads `append` alone, other clients of the protocol `append_action` alone."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append=BoolValue(value=False),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
