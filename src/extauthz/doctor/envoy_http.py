"""The ext_authz filter when it asks over HTTP (`http_service`): where, and which headers of the answer it passes on."""

from collections.abc import Iterator

from extauthz.doctor.envoy_api import ListStringMatcher
from extauthz.doctor.envoy_chain import Authz
from extauthz.doctor.envoy_match import any_matches
from extauthz.doctor.findings import Check, Problem, Severity

PREFIX = "/envoy"
"""Where extauthz answers Envoy over HTTP; the path in question follows."""

_UPSTREAM = "allowed_upstream_headers"
_APPENDED = "allowed_upstream_headers_to_append"
_CLIENT = "allowed_client_headers"
_CHALLENGE = "www-authenticate"


def _list(authz: Authz, name: str) -> ListStringMatcher | None:
    response = authz.http.authorization_response if authz.http is not None else None
    found: ListStringMatcher | None = getattr(response, name, None)
    return found


def _path(authz: Authz) -> Iterator[Problem]:
    http = authz.http
    if http is not None and http.path_override:
        what = "path_override hides which path is meant"
        yield authz.problem(("http_service", "path_override"), what, f"path_prefix: {PREFIX}   instead of it")
    elif http is not None and http.path_prefix != PREFIX:
        what = f"path_prefix is {http.path_prefix or 'not set'}, and extauthz answers at {PREFIX}"
        yield authz.problem(("http_service", "path_prefix"), what, f"path_prefix: {PREFIX}")


def _upstream(authz: Authz) -> Iterator[Problem]:
    place = ("http_service", "authorization_response")
    for header in authz.expected.identity_headers:
        fix = f"{_UPSTREAM}: {{patterns: [{{exact: {header}}}, …]}}"
        if any_matches(_list(authz, _APPENDED), header):
            what = f"{header} is appended to what the client sent"
            yield authz.problem((*place, _APPENDED), what, fix)
        elif not any_matches(_list(authz, _UPSTREAM), header):
            what = f"{_UPSTREAM} leaves {header} out, and the application never gets it"
            yield authz.problem((*place, _UPSTREAM), what, fix)


def _client(authz: Authz) -> Iterator[Problem]:
    place = ("http_service", "authorization_response", _CLIENT)
    fix = f"{_CLIENT}: {{patterns: [{{exact: {_CHALLENGE}}}, {{exact: content-type}}, {{exact: cache-control}}]}}"
    allowed = _list(authz, _CLIENT)
    if allowed is None:
        what = f"{_CLIENT} is not set: clients get every header of a denial"
        yield authz.problem(place, what, fix, Severity.WARNING)
    elif not any_matches(allowed, _CHALLENGE):
        yield authz.problem(place, f"{_CLIENT} leaves the challenge out ({_CHALLENGE})", fix)


HTTP_CHECKS: tuple[Check[Authz], ...] = (
    Check(
        name="http-path",
        good=f"extauthz is asked at {PREFIX}, with the path in question behind it",
        why="extauthz cannot see which request is meant, and refuses all of them.",
        look=_path,
    ),
    Check(
        name="http-upstream-headers",
        good="the application gets who the client is, and nobody else says it",
        why="What is not listed is dropped, and what is appended stands beside the client's own.",
        look=_upstream,
    ),
    Check(
        name="http-client-headers",
        good="clients get the challenge of a denial, and nothing that is not for them",
        why="A 401 without its challenge is no answer to a client (RFC 9110 section 15.5.2); other headers are not for it.",
        look=_client,
    ),
)
