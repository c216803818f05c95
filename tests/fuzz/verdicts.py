"""The verdict about a question, as the engine gives it and as each wire tells it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse, HeaderValueOption
from extauthz.core.decision import Allow, Decision, Deny
from fuzz.questions import Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What every wire can tell about a decision; an allow has status 200.

    `identity` is what the upstream must see and `absent` what it must not, both sorted.
    """

    status: int
    reason: str
    challenge: str = ""
    retry_after: int = 0
    identity: Lines = ()
    absent: tuple[str, ...] = ()

    @property
    def allows(self) -> bool:
        """Whether the request passes."""
        return self.status == 200


def verdict(decision: Decision) -> Verdict:
    """The verdict as the engine gives it."""
    match decision:
        case Allow(reason=reason, identity=identity, absent=absent):
            return Verdict(
                status=200, reason=reason.value, identity=tuple(sorted(identity)), absent=tuple(sorted(absent))
            )
        case Deny(reason=reason, challenge=challenge, retry_after=retry_after):
            return Verdict(
                status=decision.outcome.status, reason=reason.value, challenge=challenge, retry_after=retry_after
            )


def read_check_response(message: bytes, guarded: Iterable[str]) -> Verdict:
    """The verdict as Envoy takes it, after a look at everything that Envoy would stumble over.

    `guarded` are the names of all headers that the policy sets or removes.
    """
    response = CheckResponse.FromString(message)
    reason = response.dynamic_metadata["reason"]
    assert isinstance(reason, str)
    if response.status.code == 0:
        assert response.HasField("status")
        assert response.WhichOneof("http_response") == "ok_response"
        identity = _set_headers(response.ok_response.headers)
        removed = list(response.ok_response.headers_to_remove)
        assert len(set(removed)) == len(removed)
        assert not set(removed) & {name for name, _ in identity}
        assert "x-envoy-auth-failure-mode-allowed" in removed
        absent = tuple(sorted({*removed} & {*guarded}))
        return Verdict(status=200, reason=reason, identity=tuple(sorted(identity)), absent=absent)
    assert response.WhichOneof("http_response") == "denied_response"
    denied = response.denied_response
    headers = dict(_set_headers(denied.headers))
    assert 400 <= denied.status.code <= 599
    assert json.loads(denied.body) == {"error": reason}
    assert (headers["x-authz-reason"], headers["cache-control"]) == (reason, "no-store")
    return Verdict(
        status=denied.status.code,
        reason=reason,
        challenge=headers.get("www-authenticate", ""),
        retry_after=int(headers.get("retry-after", "0")),
    )


def _set_headers(options: Iterable[HeaderValueOption]) -> Lines:
    found = []
    for option in options:
        name, value = option.header.key, option.header.value
        assert_sendable(name, value)
        assert option.header.raw_value == b""
        assert option.HasField("append")
        assert option.append.value is False
        assert option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        found.append((name, value))
    assert len(dict(found)) == len(found)
    return tuple(found)


def assert_sendable(name: str, value: str) -> None:
    """A header that no proxy refuses, folds or takes for its own: printable ASCII, no blanks at the ends."""
    assert name == name.lower()
    assert all(character.isascii() and (character.isalnum() or character == "-") for character in name)
    assert all(" " <= character <= "~" for character in value)
    assert value == value.strip()


def read_nginx_answer(status: int, lines: Iterable[tuple[bytes, bytes]], guarded: Iterable[str]) -> Verdict:
    """The verdict as NGINX takes it with our recipe."""
    pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    for name, value in pairs:
        assert_sendable(name, value)
    assert status in {200, 401, 403, 500}
    assert ("www-authenticate" in headers) is (status == 401)
    if status == 200:
        told = {name: headers[name] for name in guarded if name in headers}
        return Verdict(
            status=200,
            reason=headers["x-authz-reason"],
            identity=tuple(sorted((name, value) for name, value in told.items() if value)),
            absent=tuple(sorted(name for name, value in told.items() if not value)),
        )
    assert not {*guarded} & headers.keys()
    return Verdict(
        status=int(headers["x-authz-status"]),
        reason=headers["x-authz-reason"],
        challenge=headers.get("www-authenticate", headers.get("x-authz-challenge", "")),
        retry_after=int(headers.get("retry-after", "0")),
    )


def read_relayed_answer(
    status: int, lines: Iterable[tuple[bytes, bytes]], body: bytes, guarded: Iterable[str]
) -> Verdict:
    """The verdict as a gateway takes it that gives a denial to its client as it is. An allow does not tell its reason.

    The body is empty in an answer to HEAD.
    """
    pairs = [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    for name, value in pairs:
        assert_sendable(name, value)
    assert headers["cache-control"] == "no-store"
    assert not body or int(headers["content-length"]) == len(body)
    if status == 200:
        assert body == b""
        told = {name: headers[name] for name in guarded if name in headers}
        identity = tuple(sorted((name, value) for name, value in told.items() if value))
        absent = tuple(sorted(name for name, value in told.items() if not value))
        _check_removals(headers, identity, absent)
        return Verdict(status=200, reason="", identity=identity, absent=absent)
    assert not {*guarded} & headers.keys()
    assert not body or json.loads(body) == {"error": headers["x-authz-reason"]}
    return Verdict(
        status=status,
        reason=headers["x-authz-reason"],
        challenge=headers.get("www-authenticate", ""),
        retry_after=int(headers.get("retry-after", "0")),
    )


def _check_removals(headers: Mapping[str, str], identity: Lines, absent: tuple[str, ...]) -> None:
    """What Envoy is told to remove, if this is for Envoy: all that must be absent, and nothing that it shall set."""
    removed = headers.get("x-envoy-auth-headers-to-remove")
    if removed is not None:
        names = removed.split(", ")
        assert {*absent, "x-envoy-auth-failure-mode-allowed"} <= {*names}
        assert not {*names} & {name for name, _ in identity}
