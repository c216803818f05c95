"""A policy file is judged as a whole: all of its faults, or a snapshot."""

from extauthz.config.judge import judge_policy
from extauthz.config.yaml_source import read_yaml

GOOD = b"version: 1\nroutes:\n  - {name: a, path: /a, scopes: [read]}\n"


def test_a_good_file_has_a_snapshot_and_no_fault() -> None:
    """Without a description of servers, their names are not looked at."""
    judged = judge_policy(read_yaml(GOOD, "policy.yaml"), {}, ())
    assert judged.faults == []
    assert judged.snapshot is not None
    assert [rule.name for rule in judged.snapshot.routes.rules] == ["a"]


def test_one_fault_leaves_no_snapshot_but_the_sound_routes() -> None:
    """What else is wrong can still be told."""
    text = GOOD + b"  - {name: b, path: b, scopes: []}\n  - {name: a, path: /c, scopes: []}\n"
    judged = judge_policy(read_yaml(text, "policy.yaml"), {}, ())
    assert [fault.line for fault in judged.faults] == [4, 5]
    assert judged.snapshot is None
    assert [entry.name for _, entry in judged.policy.entries] == ["a", "a"]
