"""`extauthz policy explain` as it is typed."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from extauthz.cli.policy import policy
from extauthz.core.decision import OUTCOMES
from extauthz.policy_tools.reasons import MEANINGS

ROOT = Path(__file__).parents[3]
POLICY = str(ROOT / "examples/policy.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, ("explain", *arguments, "--policy", POLICY))


def test_a_403_is_explained_by_what_is_missing() -> None:
    """In the first lines."""
    result = run("GET", "/orders", "--scope", "other")
    assert result.exit_code == 0
    assert "missing   scope: orders:read; the token holds other" in result.output
    assert "answer to nginx, gateway-api" in result.output


def test_brief_leaves_the_doors_out() -> None:
    """For people."""
    assert "answer to" not in run("GET", "/orders", "--brief").output


def test_claims_are_json_where_they_can_be() -> None:
    """Else they are text."""
    found = json.loads(run("GET", "/me", "--sub", "u1", "--claim", "name=Ann", "--claim", "level=3", "--json").output)
    assert (found["outcome"], found["identity"]["x-auth-sub"]) == ("allow", "u1")


def test_a_real_token_and_a_pretended_one_are_two_questions() -> None:
    """One of them would be overlooked."""
    result = run("GET", "/me", "--token", "abc", "--scope", "a")
    assert result.exit_code == 2
    assert "leave out the options that pretend" in result.output
    assert "abc" not in result.output


def test_what_is_no_url_is_told() -> None:
    """With an example of one."""
    result = run("GET", "orders")
    assert result.exit_code == 2
    assert "https://api.example.com/orders/1" in result.output


def test_the_guide_has_every_reason_as_the_tool_tells_it() -> None:
    """Whoever has an audit line finds its word there."""
    text = (ROOT / "docs/policy.md").read_text()
    for reason, meaning in MEANINGS.items():
        status = OUTCOMES[reason].status if reason in OUTCOMES else "passes"
        assert f"| `{reason}` | {status} | {meaning} |" in text
