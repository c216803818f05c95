"""Decision → CheckResponse. `status.code` is Envoy's only switch, so it is set in one place for each verdict.

Answers depend on the decision alone, and few decisions are common: the bytes are kept for the next time.
"""

import itertools
from functools import lru_cache
from typing import assert_never

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
from extauthz.core.decision import Allow, Code, Decision, Deny

FAILURE_MODE_HEADER = "x-envoy-auth-failure-mode-allowed"
"""Envoy sets it when it lets a request pass without us; a client must not be able to."""

_REMEMBERED_ANSWERS = 4096


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def encode(decision: Decision) -> bytes:
    """The serialized CheckResponse."""
    match decision:
        case Allow():
            return _allow(decision).SerializeToString()
        case Deny():
            return _deny(decision).SerializeToString()
        case _:
            assert_never(decision)


def _allow(allow: Allow) -> CheckResponse:
    present = [name for name, _ in allow.identity]
    twins = {twin for name in (*present, *allow.absent) for twin in _twins(name)}
    removed = [*allow.absent, *sorted(twins.difference(present, allow.absent)), FAILURE_MODE_HEADER]
    ok = OkHttpResponse(
        headers=[_header(name, value) for name, value in allow.identity],
        headers_to_remove=removed,
    )
    return CheckResponse(status=Status(code=Code.OK), ok_response=ok)


def _deny(deny: Deny) -> CheckResponse:
    outcome = deny.outcome
    headers = [
        _header("content-type", "application/json"),
        _header("cache-control", "no-store"),
        _header("x-authz-reason", deny.reason.value),
    ]
    if deny.challenge:
        headers.append(_header("www-authenticate", deny.challenge))
    if deny.retry_after:
        headers.append(_header("retry-after", str(deny.retry_after)))
    denied = DeniedHttpResponse(
        status=HttpStatus(code=outcome.status), headers=headers, body=f'{{"error":"{deny.reason.value}"}}'
    )
    return CheckResponse(status=Status(code=outcome.code), denied_response=denied)


def _header(name: str, value: str) -> HeaderValueOption:
    """A header that replaces: Envoy reads `append` alone, other clients of the protocol `append_action` alone."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append=BoolValue(value=False),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _twins(name: str) -> list[str]:
    """Spellings that servers fold into the same variable: `x_auth_sub`, `x.auth-sub` and so on."""
    first, *rest = name.split("-")
    joints = itertools.product("-_.", repeat=len(rest))
    return [first + "".join(map("".join, zip(joint, rest, strict=True))) for joint in joints]
