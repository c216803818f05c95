"""The ext_authz filter: what it does without an answer, what it sends, what it believes, and whom it leaves out."""

import re
from collections.abc import Callable, Iterator

from extauthz.doctor.envoy_api import ApiVersion, StatusCode
from extauthz.doctor.envoy_chain import (
    Authz,
    asks_elsewhere,
    is_disabled,
    removes,
    request_mutations,
    routers,
    sends_body,
)
from extauthz.doctor.envoy_match import any_matches, may_change
from extauthz.doctor.expected import FAILURE_MODE_HEADER, twins
from extauthz.doctor.findings import Check, Problem, Severity

ROUTING = (":path", ":method", ":authority", "host")
"""Headers with which an authorizer could send a request elsewhere than where it was judged."""

Look = Callable[[Authz], Iterator[Problem]]


def _must_be(name: str, wanted: object, shown: str, severity: Severity = Severity.ERROR) -> Look:
    def look(authz: Authz) -> Iterator[Problem]:
        if getattr(authz.config, name) != wanted:
            yield authz.problem((name,), f"{name} is not {shown}", f"{name}: {shown}", severity)

    return look


def _status(authz: Authz) -> Iterator[Problem]:
    status = authz.config.status_on_error
    if status is None or status.code != StatusCode.ServiceUnavailable:
        what = "status_on_error is not 503; by itself Envoy says 403"
        yield authz.problem(("status_on_error",), what, "status_on_error: {code: ServiceUnavailable}")


def _asks(authz: Authz) -> Iterator[Problem]:
    if authz.config.grpc_service is None and authz.http is None:
        fix = "grpc_service: {envoy_grpc: {cluster_name: extauthz}, timeout: 1s}"
        yield authz.problem((), "the filter does not say whom to ask", fix)


def _elsewhere(authz: Authz) -> Iterator[Problem]:
    for route in authz.chain.routes():
        if asks_elsewhere(route.overrides, authz.filter.name):
            what = f"{route.title} asks somebody else than the filter: who that is, and how, was not looked at"
            yield authz.chain.problem(route.path, what, "take the service out of check_settings", Severity.WARNING)


def _timeout(authz: Authz) -> Iterator[Problem]:
    place, timeout = authz.timeout
    least = authz.expected.patience_seconds
    enough = 1.0 if least is None else max(1.0, least)
    fix = f"timeout: {enough:g}s   in {place[-2]}"
    if timeout is None:
        yield authz.problem(place, f"{place[-2]} has no timeout, which is then 200 ms", fix)
    elif not timeout:
        yield authz.problem(place, "timeout is 0 s: no time at all, or no end, depending on Envoy's release", fix)
    elif least is not None and timeout.total_seconds() < least:
        what = f"timeout is {timeout.total_seconds():g} s, and extauthz may take {least:g} s"
        yield authz.problem(place, what, fix)


def _every_request(authz: Authz) -> Iterator[Problem]:
    config = authz.config
    if config.shadow_mode:
        yield authz.problem(("shadow_mode",), "shadow_mode is on: every request passes", "shadow_mode: false")
    denies = config.deny_at_disable is not None and config.deny_at_disable.default_value
    for name in ("filter_enabled", "filter_enabled_metadata"):
        if getattr(config, name) is not None and not denies:
            fix = f"take {name} out, or   deny_at_disable: {{default_value: true, runtime_key: extauthz.deny}}"
            yield authz.problem((name,), f"{name} lets requests pass unchecked", fix)


def _token_is_sent(authz: Authz) -> Iterator[Problem]:
    config = authz.config
    if config.allowed_headers is not None and not any_matches(config.allowed_headers, "authorization"):
        fix = "- {exact: authorization, ignore_case: true}"
        yield authz.problem(("allowed_headers",), "allowed_headers leaves the token out", fix)
    if any_matches(config.disallowed_headers, "authorization"):
        yield authz.problem(
            ("disallowed_headers",), "disallowed_headers takes the token out", "take it out of the list"
        )


def _body(authz: Authz) -> Iterator[Problem]:
    fix = "take with_request_body out"
    if authz.config.with_request_body is not None:
        yield authz.problem(("with_request_body",), "the body of each request is sent to extauthz", fix)
    for route in authz.chain.routes():
        if sends_body(route.overrides, authz.filter.name):
            yield authz.chain.problem(route.path, f"bodies for {route.title} are sent to extauthz", fix)


def _route_cache(authz: Authz) -> Iterator[Problem]:
    if authz.config.clear_route_cache:
        yield authz.problem(("clear_route_cache",), "clear_route_cache is on", "clear_route_cache: false")
    place = (*authz.chain.path, *authz.at("clear_route_cache_headers"))
    if authz.chain.file.document.at(place):  # not in the typed messages yet
        fix = "take clear_route_cache_headers out"
        yield authz.problem(("clear_route_cache_headers",), "clear_route_cache_headers is set", fix)


def _mutation_rules(authz: Authz) -> Iterator[Problem]:
    rules = authz.config.decoder_header_mutation_rules
    name = "decoder_header_mutation_rules"
    fix = f'allow_expression: {{regex: "{_expression(authz)}"}}'
    if rules is None:
        fix = f"{name}: {{disallow_all: true, {fix}, disallow_is_error: true}}"
        yield authz.problem((name,), f"{name} is not set: extauthz may change any header", fix, Severity.WARNING)
        return
    lacking = [each for each in authz.expected.identity_headers if not may_change(rules, each)]
    if lacking:
        yield authz.problem((name,), f"extauthz may not set {', '.join(lacking)}", fix)
    lacking = [each for each in authz.expected.removed_headers if not may_change(rules, each)]
    if lacking:
        result = "each allow becomes a 500" if rules.disallow_is_error else "it gets through"
        severity = Severity.ERROR if rules.disallow_is_error else Severity.WARNING
        what = f"extauthz may not remove {', '.join(lacking)}: {result}"
        yield authz.problem((name,), what, fix, severity)
    routing = [each for each in ROUTING if may_change(rules, each)]
    if routing:
        what = f"extauthz may change {', '.join(routing)}"
        yield authz.problem((name,), what, "disallow_all: true", Severity.WARNING)


def _expression(authz: Authz) -> str:
    names = "|".join(_any_joint(name) for name in authz.expected.identity_headers)
    return f"^({names}|authorization|{FAILURE_MODE_HEADER})$"


def _any_joint(name: str) -> str:
    """A regular expression for a header name and all of its twins."""
    return re.sub("[-_.]", "[-_.]", name)


def _stripped(authz: Authz) -> Iterator[Problem]:
    """Forged identity headers: removed before the check, or at least on each route that does without it."""
    names = authz.expected.identity_headers
    forgeable = [name for name in names if not authz.removes_before(name)]
    if forgeable:
        unchecked = list(authz.unchecked())
        if not unchecked or not all(name in route.removed for route in unchecked for name in forgeable):
            yield _not_stripped(authz, forgeable, Severity.ERROR)
    else:
        others = [twin for name in names for twin in twins(name) if "_" not in twin]  # those are refused as a whole
        lacking = [name for name in (*others, FAILURE_MODE_HEADER) if not authz.removes_before(name)]
        if lacking:
            yield _not_stripped(authz, lacking, Severity.WARNING)
    for stripper in authz.strippers():
        for route in authz.chain.routes():
            if is_disabled(route.overrides, stripper.name):
                what = f"{stripper.name} is off for {route.title}: a client's own identity headers get through"
                yield authz.chain.problem(route.path, what, "take that out")


def _not_stripped(authz: Authz, names: list[str], severity: Severity) -> Problem:
    what = f"a client's own {', '.join(names)} is not removed before ext_authz"
    pattern = f'remove_on_match: {{key_matcher: {{safe_regex: {{regex: "{_any_joint(names[0])}"}}}}}}'
    removal = pattern if "." in names[0] else f"remove: {names[0]}"
    fix = f"- {removal}   in a header_mutation filter before ext_authz"
    return authz.chain.problem(("http_filters",), what, fix, severity)


def _order(authz: Authz) -> Iterator[Problem]:
    names = authz.expected.identity_headers
    if any(each.index < authz.filter.index for each in routers(authz.chain)):
        place = ("http_filters", authz.filter.index)
        what = "ext_authz stands behind the router, and is never reached"
        yield authz.chain.problem(place, what, "move it before the router")
    for each in authz.chain.filters[authz.filter.index :]:
        lost = [name for name in names if any(removes(mutation, name) for mutation in request_mutations(each))]
        if lost:
            what = f"{each.name} stands behind ext_authz and removes {', '.join(lost)} again"
            yield authz.chain.problem(("http_filters", each.index), what, "move it before ext_authz")
    unchecked = [route.path for route in authz.unchecked()]
    for route in authz.chain.routes():
        lost = [name for name in names if name in route.removed]
        if lost and route.path not in unchecked:
            what = f"request_headers_to_remove takes {', '.join(lost)} away again: it works after all filters"
            yield authz.chain.problem(route.path, what, "header_mutation before ext_authz instead")


def _unchecked_routes(authz: Authz) -> Iterator[Problem]:
    for route in authz.unchecked():
        what = f"{route.title} is not checked (disabled: true)"
        fix = "`allow: anonymous` in the policy, which keeps the audit line"
        severity = Severity.WARNING if route.exact_path else Severity.ERROR
        if severity is Severity.ERROR:
            what += ", and so is everything that looks like it begins that way"
        yield authz.chain.problem(route.path, what, fix, severity)


AUTHZ_CHECKS: tuple[Check[Authz], ...] = (
    Check(
        name="failure-mode-allow",
        good="without an answer nothing passes",
        why="Whoever can make extauthz slow or crash it gets everything.",
        look=_must_be("failure_mode_allow", False, "false"),
    ),
    Check(
        name="status-on-error",
        good="trouble with extauthz is 503",
        why="403 tells clients that they may not, when it is us who cannot.",
        look=_status,
    ),
    Check(
        name="service",
        good="Envoy knows whom to ask",
        why="Envoy does not start without it.",
        look=_asks,
    ),
    Check(
        name="same-service",
        good="every route asks the same extauthz",
        why="Another authorizer has another policy, and old releases of Envoy crashed over such routes.",
        look=_elsewhere,
    ),
    Check(
        name="timeout",
        good="Envoy waits long enough for an introspection",
        why="A token that has to be introspected takes longer, and is refused for no reason.",
        look=_timeout,
    ),
    Check(
        name="transport-version",
        good="the API is V3",
        why="Envoy and extauthz speak V3 only.",
        look=_must_be("transport_api_version", ApiVersion.V3, "V3"),
    ),
    Check(
        name="every-request",
        good="every request is checked, and the answer counts",
        why="What is not checked is let through.",
        look=_every_request,
    ),
    Check(
        name="token-is-sent",
        good="extauthz gets the token",
        why="Without it every request ends in 401.",
        look=_token_is_sent,
    ),
    Check(
        name="no-body",
        good="bodies stay out of it",
        why="No decision needs the body, Envoy holds it back meanwhile, and a large one is refused.",
        look=_body,
    ),
    Check(
        name="validate-mutations",
        good="answers are looked at before they are used",
        why="A header that no HTTP message may carry then fails late, or gets through.",
        look=_must_be("validate_mutations", True, "true"),
    ),
    Check(
        name="mutation-rules",
        good="extauthz may set and remove what it has to, and nothing else",
        why="Too narrow, and each allow becomes a 500 or loses the identity; too wide, and it could reroute requests.",
        look=_mutation_rules,
    ),
    Check(
        name="route-cache",
        good="a request is served by the route that it was judged for",
        why="Envoy looks for the route again after the check: judged as one, served as another.",
        look=_route_cache,
    ),
    Check(
        name="identity-stripped",
        good="no client brings its own identity headers in",
        why="On a route without the check nothing else removes them, and the application believes them.",
        look=_stripped,
    ),
    Check(
        name="order",
        good="headers are stripped first, then checked, then routed",
        why="What stands in another order undoes the check, or the identity that it found.",
        look=_order,
    ),
    Check(
        name="unchecked-routes",
        good="every route is checked",
        why="There nobody asks for a token, whatever the policy says.",
        look=_unchecked_routes,
    ),
)

GRPC_CHECKS: tuple[Check[Authz], ...] = (
    Check(
        name="raw-headers",
        good="extauthz gets the exact bytes of headers",
        why="Otherwise Envoy writes ! for what is not UTF-8, and joins lines.",
        look=_must_be("encode_raw_headers", True, "true", Severity.WARNING),
    ),
)
"""What concerns gRPC only."""
