"""The shipped file is good; with one setting broken, exactly that is found, and where it stands."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from extauthz.core.decision import Allow, Reason
from extauthz.doctor.envoy import examine_envoy
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Finding, Severity
from extauthz.wire.envoy.encode import encode

FILE = Path(__file__).parents[3] / "gateway/envoy.yaml"
SHIPPED = FILE.read_text(encoding="utf-8")
EXPECTED = Expected(introspection_seconds=0.5)
UNCHECKED = "/gateway-health"

Settings = dict[str, Any]

ERROR, WARNING = Severity.ERROR, Severity.WARNING
PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
OFF = f'typed_per_filter_config: {{envoy.filters.http.ext_authz: {{"@type": {PER_ROUTE}, disabled: true}}}}'
MUTATION = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
FILTERS = "          http_filters:\n"
LAST = "          - name: envoy.filters.http.router\n"
CATCH_ALL = "- match: {prefix: /}\n                route: {cluster: app}"
REGEX = '"^(x[-_.]auth[-_.](sub|scope)|authorization|x-envoy-auth-failure-mode-allowed)$"'
TOKEN_HEADER = "- {exact: authorization, ignore_case: true}"
STRIPPED = '"x[-_.]auth[-_.](sub|scope)"'
HEALTH = "grpc_health_check: {service_name: envoy.service.auth.v3.Authorization}"
FRACTION = "validate_mutations: true\n              filter_enabled: {default_value: {numerator: 50}}"
PANIC = "healthy_panic_threshold: {value: 0}"


class Broken(NamedTuple):
    """What is replaced, what with, the check that finds it, and what stands on the line that it names."""

    old: str
    new: str
    check: str
    at: str
    severity: Severity = ERROR


ROWS = {
    "the filter is off": Broken(
        "- name: envoy.filters.http.ext_authz\n",
        "- name: envoy.filters.http.ext_authz\n            disabled: true\n",
        "ext-authz",
        "- name: envoy.filters.http.ext_authz",
    ),
    "failures let pass": Broken("mode_allow: false", "mode_allow: true", "failure-mode-allow", "failure_mode_allow:"),
    "failures let pass, in camel case": Broken(
        "failure_mode_allow: false", "failureModeAllow: yes", "failure-mode-allow", "typed_config:"
    ),
    "trouble looks like a no": Broken(
        "{code: ServiceUnavailable}", "{code: Forbidden}", "status-on-error", "status_on_error"
    ),
    "no status": Broken("status_on_error: {code: ServiceUnavailable}", "", "status-on-error", "typed_config:"),
    "no timeout": Broken("timeout: 1s  #", "#", "timeout", "grpc_service:"),
    "a timeout of nothing": Broken("timeout: 1s  #", "timeout: 0s #", "timeout", "timeout: 0s"),
    "a timeout below ours": Broken("timeout: 1s  #", "timeout: 0.59s #", "timeout", "timeout: 0.59s"),
    "an old API": Broken("transport_api_version: V3", "transport_api_version: V2", "transport-version", "V2"),
    "no API version": Broken("transport_api_version: V3", "", "transport-version", "typed_config:"),
    "raw paths": Broken("normalize_path: true", "normalize_path: false", "normalize-path", "normalize_path"),
    "double slashes": Broken("merge_slashes: true", "", "merge-slashes", "typed_config:"),
    "escaped slashes": Broken(
        "action: REJECT_REQUEST\n", "action: UNESCAPE_AND_FORWARD\n", "escaped-slashes", "UNESCAPE_AND_FORWARD"
    ),
    "underscores": Broken("underscores_action: REJECT_REQUEST", "underscores_action: ALLOW", "underscores", "ALLOW"),
    "underscores by default": Broken(
        "headers_with_underscores_action: REJECT_REQUEST", "", "underscores", "common_http_protocol_options"
    ),
    "underscores dropped": Broken(
        "underscores_action: REJECT_REQUEST", "underscores_action: DROP_HEADER", "underscores", "DROP_HEADER", WARNING
    ),
    "client's address": Broken("use_remote_address: true", "", "remote-address", "typed_config:"),
    "sub is not stripped": Broken(
        f"- remove: x-auth-sub\n                - remove: x-auth-scope\n"
        f"                - remove_on_match: {{key_matcher: {{safe_regex: {{regex: {STRIPPED}}}}}}}",
        "- remove: x-auth-scope",
        "identity-stripped",
        "http_filters:",
    ),
    "twins with dots are not stripped": Broken(
        STRIPPED, '"x[-_]auth[-_](sub|scope)"', "identity-stripped", "http_filters:", WARNING
    ),
    "Envoy's own mark is not stripped": Broken(
        "- remove: x-envoy-auth-failure-mode-allowed", "", "identity-stripped", "http_filters:", WARNING
    ),
    "stripping is off for a route": Broken(
        CATCH_ALL,
        f"{CATCH_ALL}\n                typed_per_filter_config: "
        f'{{envoy.filters.http.header_mutation: {{"@type": {FILTER_CONFIG}, disabled: true}}}}',
        "identity-stripped",
        "{prefix: /}",
    ),
    "sub may not be set": Broken(
        "disallow_is_error: true",
        "disallow_is_error: true\n                disallow_expression: {regex: x-auth-sub}",
        "mutation-rules",
        "decoder_header_mutation_rules",
    ),
    "twins stay, in silence": Broken(
        f"allow_expression: {{regex: {REGEX}}}\n                disallow_is_error: true",
        "allow_expression: {regex: '^x-auth-(sub|scope)$'}",
        "mutation-rules",
        "decoder_header_mutation_rules",
        WARNING,
    ),
    "no rules at all": Broken(
        "decoder_header_mutation_rules:", "filter_metadata:", "mutation-rules", "typed_config:", WARNING
    ),
    "twins may not be removed": Broken(
        REGEX, REGEX.replace("x[-_.]auth[-_.]", "x-auth-"), "mutation-rules", "decoder_header_mutation_rules"
    ),
    "some twins may not be removed": Broken(
        REGEX, REGEX.replace("x[-_.]auth[-_.]", "x[-_]auth[-_]"), "mutation-rules", "decoder_header_mutation_rules"
    ),
    "the mark may not be removed": Broken(
        REGEX,
        REGEX.replace("|x-envoy-auth-failure-mode-allowed", ""),
        "mutation-rules",
        "decoder_header_mutation_rules",
    ),
    "anything may be changed": Broken(REGEX, '".*"', "mutation-rules", "decoder_header_mutation_rules", WARNING),
    "the path may be changed": Broken(
        "disallow_all: true", "allow_envoy: true", "mutation-rules", "decoder_header_mutation_rules", WARNING
    ),
    "mutations are not validated": Broken("validate_mutations: true", "", "validate-mutations", "typed_config:"),
    "headers are not raw": Broken("encode_raw_headers: true", "", "raw-headers", "typed_config:", WARNING),
    "another route after the check": Broken(
        "clear_route_cache: false", "clear_route_cache: true", "route-cache", "clear_route_cache"
    ),
    "another route after the check, by Envoy 1.40": Broken(
        "clear_route_cache: false", "clear_route_cache_headers: [x-tenant]", "route-cache", "clear_route_cache_headers"
    ),
    "only for show": Broken(
        "validate_mutations: true",
        "validate_mutations: true\n              shadow_mode: true",
        "every-request",
        "shadow_mode",
    ),
    "only some requests": Broken(
        "validate_mutations: true",
        FRACTION,
        "every-request",
        "filter_enabled",
    ),
    "no token": Broken(TOKEN_HEADER, "- {exact: cookie}", "token-is-sent", "allowed_headers:"),
    "token taken out": Broken(
        "validate_mutations: true",
        "validate_mutations: true\n              disallowed_headers: {patterns: [{prefix: AUTH, ignore_case: true}]}",
        "token-is-sent",
        "disallowed_headers",
    ),
    "the body": Broken(
        "validate_mutations: true",
        "validate_mutations: true\n              with_request_body: {max_request_bytes: 1024}",
        "no-body",
        "with_request_body",
    ),
    "the body, for one route": Broken(
        CATCH_ALL,
        f"{CATCH_ALL}\n                typed_per_filter_config: {{envoy.filters.http.ext_authz: "
        f'{{"@type": {PER_ROUTE}, check_settings: {{with_request_body: {{max_request_bytes: 1}}}}}}}}',
        "no-body",
        "{prefix: /}",
    ),
    "a prefix goes unchecked": Broken(
        CATCH_ALL, f"{CATCH_ALL}\n                {OFF}", "unchecked-routes", "{prefix: /}"
    ),
    "a prefix goes unchecked, by the general switch": Broken(
        CATCH_ALL,
        f"{CATCH_ALL}\n                " + OFF.replace(PER_ROUTE, FILTER_CONFIG),
        "unchecked-routes",
        "{prefix: /}",
    ),
    "a whole host goes unchecked": Broken(
        'domains: ["*"]', f'domains: ["*"]\n              {OFF}', "unchecked-routes", "{prefix: /}"
    ),
    "part of a route goes unchecked": Broken(
        CATCH_ALL,
        "- match: {prefix: /}\n                route:\n                  weighted_clusters:\n                    clusters:\n"
        f"                    - {{name: app, weight: 1, {OFF}}}",
        "unchecked-routes",
        "weight: 1",
    ),
    "stripped again after the check": Broken(
        LAST,
        f'          - name: again\n            typed_config: {{"@type": {MUTATION}, '
        f"mutations: {{request_mutations: [{{remove: X-Auth-Sub}}]}}}}\n{LAST}",
        "order",
        "name: again",
    ),
    "stripped again on the way out": Broken(
        CATCH_ALL, f"{CATCH_ALL}\n                request_headers_to_remove: [X-Auth-Scope]", "order", "{prefix: /}"
    ),
    "behind the router": Broken(
        FILTERS,
        f'{FILTERS}          - name: early\n            typed_config: {{"@type": {ROUTER}}}\n',
        "order",
        "- name: envoy.filters.http.ext_authz",
    ),
    "no such cluster": Broken(
        "envoy_grpc: {cluster_name: extauthz}", "envoy_grpc: {cluster_name: other}", "cluster", "grpc_service", WARNING
    ),
    "HTTP/1 to us": Broken(
        "http2_protocol_options:\n            connection_keepalive: {interval: 30s, timeout: 5s}",
        "http_protocol_options: {}",
        "http2",
        "typed_extension_protocol_options",
    ),
    "another service": Broken(
        HEALTH, "grpc_health_check: {service_name: extauthz}", "grpc-health-check", "service_name: extauthz"
    ),
    "health by HTTP": Broken(HEALTH, "http_health_check: {path: /}", "grpc-health-check", "timeout: 0.5s"),
    "a connection that died": Broken(
        "connection_keepalive: {interval: 30s, timeout: 5s}",
        "max_concurrent_streams: 100",
        "keepalive",
        "typed_extension_protocol_options",
        WARNING,
    ),
    "a connection that died, without an interval": Broken(
        "{interval: 30s, timeout: 5s}", "{timeout: 5s}", "keepalive", "typed_extension_protocol_options", WARNING
    ),
    "too many pings": Broken("interval: 30s", "interval: 0.9s", "keepalive", "typed_extension_protocol_options"),
    "a route that asks somebody else": Broken(
        CATCH_ALL,
        f"{CATCH_ALL}\n                typed_per_filter_config: {{envoy.filters.http.ext_authz: "
        f'{{"@type": {PER_ROUTE}, check_settings: {{grpc_service: {{envoy_grpc: {{cluster_name: app}}}}}}}}}}',
        "same-service",
        "{prefix: /}",
        WARNING,
    ),
    "asked while it drains": Broken(PANIC, "healthy_panic_threshold: {value: 50}", "panic-threshold", "value: 50"),
    "asked while it drains, by default": Broken(
        f"common_lb_config:\n      {PANIC}", "#", "panic-threshold", "name: extauthz"
    ),
    "a misspelt setting": Broken(
        "max_denied_response_body_bytes", "max_denied_body_bytes", "envoy-api", "max_denied_body_bytes"
    ),
    "a setting in the wrong place": Broken(
        "stat_prefix: ingress", "stat_prefix: ingress\n          shadow_mode: false", "envoy-api", "shadow_mode"
    ),
    "a value of the wrong type": Broken("num_retries: 1", "num_retries: once", "envoy-api", "num_retries"),
    "a duration without a unit": Broken(
        "stat_prefix: ingress", "stat_prefix: ingress\n          drain_timeout: 5", "envoy-api", "drain_timeout"
    ),
    "two choices where one can be": Broken(
        "response_flag_filter: {flags: [UAEX]}",
        "response_flag_filter: {flags: [UAEX]}\n                    header_filter: {}",
        "envoy-api",
        "response_flag_filter",
    ),
    "an unknown extension": Broken(
        "loggers.stream.v3.StdoutAccessLog", "loggers.company.v3.Log", "envoy-api", "typed_config", WARNING
    ),
    "a key that stands twice": Broken(
        "stat_prefix: ingress", "stat_prefix: ingress\n          stat_prefix: ingress", "envoy-api", "stat_prefix"
    ),
}


def examined(text: str, expected: Expected = EXPECTED) -> list[Finding]:
    """All findings but the one about the route that the shipped file leaves open on purpose."""
    found = [each for each in examine_envoy(text, "envoy.yaml", expected) if each.severity is not Severity.OK]
    known = [each for each in found if each.check == "unchecked-routes" and UNCHECKED in each.what]
    assert [each.severity for each in known] in ([], [WARNING])
    return [each for each in found if each not in known]


def line_of(finding: Finding, text: str) -> str:
    file, _, number = finding.where.rpartition(":")
    assert file == "envoy.yaml"
    return text.splitlines()[int(number) - 1]


class TestTheShippedFile:
    def test_has_no_fault(self) -> None:
        assert examined(SHIPPED) == []

    def test_says_which_route_is_open(self) -> None:
        (finding,) = (each for each in examine_envoy(SHIPPED, "envoy.yaml", EXPECTED) if each.severity is WARNING)
        assert UNCHECKED in finding.what
        assert UNCHECKED in line_of(finding, SHIPPED)

    def test_every_check_has_a_good_word(self) -> None:
        good = {each.check for each in examine_envoy(SHIPPED, "envoy.yaml", EXPECTED) if each.severity is Severity.OK}
        broken = {row.check for row in ROWS.values()} - {"envoy-api", "unchecked-routes"}
        assert good == broken | {"service", "routes", "health-check", "virtual-hosts"}


@pytest.mark.parametrize(
    ("old", "at"),
    [
        ("          strip_trailing_host_dot: true\n", "typed_config:"),
        ("            ignore_port_in_host_matching: true\n", "route_config:"),
    ],
)
def test_a_host_that_is_written_otherwise_is_no_other_virtual_host(old: str, at: str) -> None:
    """It is one only where there are several of them."""
    text = SHIPPED.replace(old, "", 1)
    assert examined(text) == []
    several = "virtual_hosts:\n            - {name: other, domains: [other.example.com]}\n"
    text = text.replace("virtual_hosts:\n", several, 1)
    (finding,) = examined(text)
    assert (finding.severity, finding.check) == (ERROR, "virtual-hosts")
    assert at in line_of(finding, text)
    assert examined(SHIPPED.replace("virtual_hosts:\n", several, 1)) == []


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_one_broken_setting_is_found_where_it_stands(row: Broken) -> None:
    assert SHIPPED.count(row.old) >= 1
    text = SHIPPED.replace(row.old, row.new, 1)
    (finding,) = examined(text)
    assert (finding.severity, finding.check) == (row.severity, row.check)
    assert row.at in line_of(finding, text)
    assert finding.why.endswith(".")
    assert finding.fix


class TestWhatIsFineToo:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("timeout: 1s  #", "timeout: 0.6s #"),
            ("clear_route_cache: false", "emit_client_span: true"),
            ("service_name: envoy.service.auth.v3.Authorization", "service_name: ''"),
            ("explicit_http_config:\n          http2", "auto_config:\n          http2"),
            ("interval: 30s", "interval: 1s"),
            (TOKEN_HEADER, "- {safe_regex: {regex: 'auth.*'}}"),
            (TOKEN_HEADER, "- {contains: THORI, ignore_case: true}"),
            (TOKEN_HEADER, "- {suffix: ization}"),
            ("failure_mode_allow: false", "failureModeAllow: no"),
            (
                "validate_mutations: true",
                f"{FRACTION}\n              deny_at_disable: {{default_value: true, runtime_key: x}}",
            ),
            ("admin:\n", "!ignore templates:\n  any: [thing]\nadmin:\n"),
        ],
    )
    def test_it_is_not_reported(self, old: str, new: str) -> None:
        assert old in SHIPPED
        assert examined(SHIPPED.replace(old, new, 1)) == []

    def test_headers_may_be_stripped_before_all_filters(self) -> None:
        removals = [
            f"{{remove: {name}}}" for name in ("x-auth-sub", "x-auth-scope", "x-envoy-auth-failure-mode-allowed")
        ]
        dotted = '{remove_on_match: {key_matcher: {safe_regex: {regex: "x[-.]auth[-.](sub|scope)"}}}}'
        early = (
            "early_header_mutation_extensions:\n          - name: early\n            typed_config:\n"
            '              "@type": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3'
            f".HeaderMutation\n              mutations: [{', '.join([*removals, dotted])}]\n          merge_slashes: true"
        )
        text = SHIPPED.replace("merge_slashes: true", early, 1).replace("- remove: x-auth", "- remove: x-other")
        assert examined(re.sub(r"- remove_on_match: .*", "", text)) == []

    def test_headers_may_be_stripped_on_each_unchecked_route_alone(self) -> None:
        text = SHIPPED.replace("- remove: x-auth", "- remove: x-other")
        text = re.sub(r"- remove_on_match: .*", "", text)
        assert [each.check for each in examined(text)] == ["identity-stripped"]
        match = "- match: {path: /gateway-health}\n"
        removed = f"{match}                request_headers_to_remove: [x-auth-sub, x-auth-scope]\n"
        assert examined(text.replace(match, removed)) == []


class TestThePolicysOwnHeaders:
    def test_each_has_to_be_stripped_and_admitted(self) -> None:
        found = examined(SHIPPED, Expected(identity_headers=("x-auth-sub", "x-user")))
        assert [(each.severity, each.check) for each in found] == [
            (ERROR, "mutation-rules"),
            (ERROR, "mutation-rules"),
            (ERROR, "identity-stripped"),
        ]
        assert "x-user" in found[0].what
        assert "x_user" in found[1].what

    @pytest.mark.parametrize("present", [True, False])
    def test_what_has_to_be_admitted_is_what_is_sent(self, *, present: bool) -> None:
        """The headers that the gRPC door sets and removes, and the ones that the file is held against."""
        names = ("x-auth-sub", "x-user")
        allow = Allow(
            reason=Reason.ALLOWED,
            rule="r",
            identity=tuple((name, "v") for name in names) if present else (),
            absent=() if present else names,
        )
        sent = {word.decode() for word in re.findall(rb"x[-_.][a-z._-]+", encode(allow))}
        expected = Expected(identity_headers=names)
        assert sent == {*expected.identity_headers, *expected.removed_headers}


class TestFilesOfAnotherShape:
    def test_without_a_connection_manager(self) -> None:
        (finding,) = examined("admin: {}\n")
        assert (finding.severity, finding.check) == (ERROR, "ext-authz")

    @pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00", "{}", "static_resources: 5"])
    def test_nonsense_is_told_and_not_raised(self, text: str) -> None:
        assert ERROR in {each.severity for each in examined(text)}

    def test_routes_from_elsewhere(self) -> None:
        document = changed(lambda manager, _: manager.update(route_config=None, rds={"route_config_name": "x"}))
        assert [(each.severity, each.check) for each in examined(document)] == [(WARNING, "routes")]

    def test_without_the_filter(self) -> None:
        document = changed(lambda manager, _: manager["http_filters"].pop(1))
        assert [(each.severity, each.check) for each in examined(document)] == [(ERROR, "ext-authz")]

    def test_with_the_filter_asking_nobody(self) -> None:
        document = changed(lambda _, authz: authz.pop("grpc_service"))
        assert (ERROR, "service") in [(each.severity, each.check) for each in examined(document)]

    def test_without_health_check(self) -> None:
        document = yaml.safe_load(SHIPPED)
        del document["static_resources"]["clusters"][1]["health_checks"]
        assert [(each.severity, each.check) for each in examined(yaml.safe_dump(document))] == [(ERROR, "health-check")]

    def test_a_second_connection_manager_is_looked_at_as_well(self) -> None:
        document = yaml.safe_load(SHIPPED)
        listeners = document["static_resources"]["listeners"]
        listeners.append(yaml.safe_load(yaml.safe_dump(listeners[0])))
        chain = listeners[1].pop("filter_chains")[0]
        chain["filters"][0]["typed_config"]["http_filters"][1]["typed_config"]["failure_mode_allow"] = True
        listeners[1]["default_filter_chain"] = chain
        found = examine_envoy(yaml.safe_dump(document), "envoy.yaml", EXPECTED)
        assert [each.check for each in found if each.severity is ERROR] == ["failure-mode-allow"]


def changed(edit: Callable[[Settings, Settings], object]) -> str:
    """The shipped file with its connection manager and its ext_authz filter edited."""
    document = yaml.safe_load(SHIPPED)
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    edit(manager, manager["http_filters"][1]["typed_config"])
    return yaml.safe_dump({name: value for name, value in document.items() if value is not None})
