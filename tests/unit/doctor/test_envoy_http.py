"""The shipped file for `http_service` is good too; with one setting broken, exactly that is found."""

from pathlib import Path
from typing import NamedTuple

import pytest

from extauthz.doctor.envoy import examine_envoy
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Finding, Severity

SHIPPED = (Path(__file__).parents[3] / "gateway/envoy-http-service.yaml").read_text(encoding="utf-8")
EXPECTED = Expected(introspection_seconds=0.5)
ERROR, WARNING = Severity.ERROR, Severity.WARNING
UPSTREAM = "- {exact: x-auth-scope}"
CHALLENGE = "- {exact: www-authenticate}"


class Broken(NamedTuple):
    """What is replaced, what with, and the check that finds it."""

    old: str
    new: str
    check: str
    severity: Severity = ERROR


ROWS = {
    "another prefix": Broken("path_prefix: /envoy", "path_prefix: /envoy/", "http-path"),
    "no prefix": Broken("path_prefix: /envoy", "", "http-path"),
    "a path for all": Broken("path_prefix: /envoy", "path_override: /envoy", "http-path"),
    "scope does not arrive": Broken(UPSTREAM, "", "http-upstream-headers"),
    "scope is appended": Broken(
        "allowed_client_headers:",
        "allowed_upstream_headers_to_append: {patterns: [{exact: x-auth-scope}]}\n                  "
        "allowed_client_headers:",
        "http-upstream-headers",
    ),
    "no challenge": Broken(CHALLENGE, "", "http-client-headers"),
    "everything for clients": Broken(
        "allowed_client_headers:", "allowed_client_headers_on_success:", "http-client-headers", WARNING
    ),
    "no time": Broken("cluster: extauthz, timeout: 1s", "cluster: extauthz", "timeout"),
    "too little time": Broken("cluster: extauthz, timeout: 1s", "cluster: extauthz, timeout: 0.3s", "timeout"),
    "no such cluster": Broken("cluster: extauthz, timeout", "cluster: other, timeout", "cluster", WARNING),
    "failures let pass": Broken("failure_mode_allow: false", "failure_mode_allow: true", "failure-mode-allow"),
    "asked while it drains": Broken("healthy_panic_threshold: {value: 0}", "{}", "panic-threshold"),
}


def examined(text: str) -> list[Finding]:
    return [each for each in examine_envoy(text, "envoy.yaml", EXPECTED) if each.severity is not Severity.OK]


def test_the_shipped_file_has_no_fault() -> None:
    assert examined(SHIPPED) == []


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_one_broken_setting_is_found(row: Broken) -> None:
    assert row.old in SHIPPED
    (finding,) = examined(SHIPPED.replace(row.old, row.new, 1))
    assert (finding.severity, finding.check) == (row.severity, row.check)
    assert finding.why.endswith(".")
    assert finding.fix
