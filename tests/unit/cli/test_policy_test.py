"""`extauthz policy test` as it is typed: what it says of a test that fails, and its exit status."""

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from click.testing import CliRunner, Result

from extauthz.cli.policy import policy

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "examples/policy-tests.yaml")

POLICY = """\
version: 1
defaults: {audience: https://api.example.com}
routes:
  - {name: read, path: "/orders/{id}", methods: [GET, HEAD], scopes: [orders:read]}
  - {name: write, path: "/orders/{id}", methods: [PUT], scopes: {any_of: [[a, b, c], [a, d]]}}
  - {name: page, path: /page, methods: [PUT], scopes: [], allow_preflight: true}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, ("test", *arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def suite(folder: Path, *tests: str) -> str:
    file = folder / "tests.yaml"
    file.write_text("policy: policy.yaml\ntests:\n" + "".join(f"  - {{{test}}}\n" for test in tests))
    return str(file)


def test_the_example_passes_and_reaches_every_route() -> None:
    """It is what people copy."""
    result = run(EXAMPLE, "--all-routes")
    assert result.exit_code == 0, result.output
    assert result.output == "18 of 18 requests end as expected\n"


def test_a_failure_says_what_came_by_which_rule_and_what_is_missing(folder: Path) -> None:
    """Enough to correct the test or the policy without another command."""
    result = run(suite(folder, "name: readers write, request: PUT /orders/1, token: {scope: a d2}, expect: allow"))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{folder}/tests.yaml:3: readers write: PUT /orders/1",
        "    outcome: expected allow, got deny",
        (
            f"    it is deny 403 insufficient_scope, by write ({folder}/policy.yaml:5):"
            " the token lacks a scope that the route needs: get one that was granted it"
        ),
        "    missing scope: b and c, or d; the token holds a d2",
        f"    not read ({folder}/policy.yaml:4): it stands exactly here, and lists GET HEAD, not PUT",
        "0 of 1 requests end as expected",
        f"{folder}/policy.yaml: no test reaches read, page",
    ]


GOOD = {
    "missing is of the nearest list": "request: PUT /orders/1, token: {scope: a}, expect: {missing: [d]}",
    "a preflight": "request: OPTIONS /page, preflight: PUT, expect: {outcome: allow, rule: page}",
    "no preflight": "request: OPTIONS /page, expect: {status: 403, rule: none}",
    "expired": "request: GET /orders/1, token: expired, expect: {reason: expired}",
    "an active token that holds nothing": "request: GET /orders/1, token: {}, expect: {status: 403}",
}


@pytest.mark.parametrize("case", GOOD)
def test_what_can_be_expected(case: str, folder: Path) -> None:
    """Each is as the engine has it."""
    result = run(suite(folder, f"name: {case}, {GOOD[case]}"))
    assert result.exit_code == 0, result.output


BAD = {
    "an unknown reason": ("request: GET /a, expect: {reason: insufficient_scopes}", "'insufficient_scope'?"),
    "a method in lower case": ("request: get /a, expect: allow", "did you mean 'GET /a'?"),
    "no method": ("request: /a, expect: allow", "write a method and a URL or path"),
    "an unknown outcome": ("request: GET /a, expect: alow", "write allow or deny"),
    "an unknown key": ("requests: GET /a, expect: allow", "did you mean 'request'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_of_tests_is_as_strict_as_a_policy(case: str, folder: Path) -> None:
    """A test that is not understood is not a test that passes."""
    said, message = BAD[case]
    result = run(suite(folder, f"name: a, {said}"))
    assert result.exit_code == 2
    assert f"{folder}/tests.yaml:3:" in result.output
    assert message in result.output


def test_junit_has_a_failure_with_all_lines(folder: Path) -> None:
    """For CI."""
    report = folder / "junit.xml"
    good, bad = "name: a, request: GET /x, expect: deny", "name: b, request: GET /x, expect: allow"
    assert run(suite(folder, good, bad), "--junit", str(report)).exit_code == 1
    root = fromstring(report.read_text())  # noqa: S314 - our own
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    first, second = root.findall("testsuite/testcase")
    assert first.find("failure") is None
    failure = second.find("failure")
    assert failure is not None
    assert failure.get("message") == "outcome: expected allow, got deny"


def test_a_route_that_no_test_reaches_can_be_a_failure(folder: Path) -> None:
    """Several files together may reach them all."""
    file = suite(folder, "name: a, request: GET /orders/1, expect: deny")
    assert run(file).exit_code == 0
    assert run(file, "--all-routes").exit_code == 1
