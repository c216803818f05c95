"""What is counted, under which labels, and how the numbers of several workers become one."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from extauthz.authorizer import Authorizer
from extauthz.core.contrast import Contrast, Kind
from extauthz.core.decision import ALLOWING, OUTCOMES, Allow, Decision, Reason, deny
from extauthz.core.introspection import LEVELS
from extauthz.observe.events import Checked, Happened, Happening, Introspected
from extauthz.observe.metrics import Metrics
from extauthz.testing import StubResolver, TickingClock, active, policy, request, rule
from extauthz.version import VERSION

ALLOWED = Allow(reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-sub", "canary"),), absent=())
EVENT = Checked(
    decision_id="1",
    at=0.0,
    door="envoy",
    request_id="canary",
    method="GET",
    host="canary.example.com",
    path="/canary",
    decision=ALLOWED,
    level="memory",
    sub="canary",
    client_id="canary",
    took_seconds=0.00004,
)
SAVED = "extauthz_introspections_saved_total"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(page: str) -> Samples:
    """Name and labels of every sample, with its value."""
    families = text_string_to_metric_families(page)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def read(metrics: Metrics) -> Samples:
    return samples(metrics.exposition()[0].decode())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return read(metrics).get((name, frozenset(labels.items())))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_what_a_shadow_route_let_pass_is_counted_by_its_true_reason(metrics: Metrics) -> None:
    """Beside the decision itself, which was to let it pass."""
    shadow = Allow(reason=Reason.SHADOW, rule="new", identity=(), absent=(), shadow=Reason.INSUFFICIENT_SCOPE)
    metrics.record([EVENT._replace(decision=shadow), EVENT._replace(decision=shadow), EVENT])
    assert value(metrics, "extauthz_shadowed_total", reason="insufficient_scope", rule="new") == 2
    counted = {"door": "envoy", "outcome": "allow", "reason": "shadow", "rule": "new"}
    assert value(metrics, "extauthz_decisions_total", **counted) == 2


def test_what_a_candidate_says_otherwise_is_counted_by_the_rule_that_decided(metrics: Metrics) -> None:
    """Its own rule is in the audit line."""
    closed = Contrast(Kind.CLOSED, deny(Reason.NO_ROUTE, rule="other"))
    metrics.record([EVENT._replace(contrast=closed), EVENT._replace(contrast=Contrast(Kind.UNKNOWN)), EVENT])
    assert value(metrics, "extauthz_candidate_contrasts_total", kind="closed", rule="orders") == 1
    assert value(metrics, "extauthz_candidate_contrasts_total", kind="unknown", rule="orders") == 1


@pytest.mark.shows("S53", "E78")
@pytest.mark.parametrize(
    ("door", "decision", "outcome", "reason", "rule"),
    [
        ("envoy", ALLOWED, "allow", "allowed", "orders"),
        ("nginx", ALLOWED, "allow", "allowed", "orders"),
        ("nginx", Allow(reason=Reason.PUBLIC, rule="health", identity=(), absent=()), "allow", "public", "health"),
        ("envoy", deny(Reason.NO_ROUTE), "deny", "no_route", ""),
        *(("envoy", deny(reason, rule="orders"), "deny", reason.value, "orders") for reason in OUTCOMES),
    ],
)
def test_a_decision_is_counted_by_door_outcome_reason_and_rule(  # noqa: PLR0917 - a row of the table
    metrics: Metrics, door: str, decision: Decision, outcome: str, reason: str, rule: str
) -> None:
    """The same words as in the audit line."""
    for _ in range(3):
        metrics.checked(EVENT._replace(door=door, decision=decision))
    labels = {"door": door, "outcome": outcome, "reason": reason, "rule": rule}
    assert value(metrics, "extauthz_decisions_total", **labels) == 3.0


def test_decisions_that_differ_are_counted_apart(metrics: Metrics) -> None:
    """By each of the four labels."""
    other = ALLOWED._replace(rule="other")
    for decision in (ALLOWED, ALLOWED, other, deny(Reason.INACTIVE, rule="orders"), deny(Reason.INACTIVE)):
        metrics.checked(EVENT._replace(decision=decision))
    metrics.checked(EVENT._replace(door="nginx"))
    counts = sorted(number for (name, _), number in read(metrics).items() if name == "extauthz_decisions_total")
    assert counts == [1.0, 1.0, 1.0, 1.0, 2.0]


@pytest.mark.shows("E78")
def test_the_time_of_a_check_is_kept_by_level(metrics: Metrics) -> None:
    """A hit in memory and a question to the server are different things."""
    metrics.checked(EVENT)
    metrics.checked(EVENT._replace(level="server", took_seconds=0.02))
    metrics.checked(EVENT._replace(level="", took_seconds=0.00001))
    for level, seconds in (("memory", 0.00004), ("server", 0.02), ("", 0.00001)):
        assert value(metrics, "extauthz_check_seconds_count", level=level) == 1.0
        assert value(metrics, "extauthz_check_seconds_sum", level=level) == pytest.approx(seconds)
    assert value(metrics, "extauthz_check_seconds_bucket", level="memory", le="5e-05") == 1.0
    assert value(metrics, "extauthz_check_seconds_bucket", level="server", le="0.01") == 0.0
    assert value(metrics, "extauthz_check_seconds_bucket", level="server", le="0.025") == 1.0


@pytest.mark.parametrize(
    ("level", "reason", "by"),
    [
        ("memory", Reason.ALLOWED, "memory"),
        ("memory", Reason.INSUFFICIENT_SCOPE, "memory"),
        ("memory", Reason.INACTIVE, "negative"),
        ("memory", Reason.WRONG_ISSUER, "negative"),
        ("shared", Reason.ALLOWED, "shared"),
        ("joined", Reason.INACTIVE, "joined"),
        ("jwt", Reason.ALLOWED, "jwt"),
        ("stale", Reason.ALLOWED_STALE, "stale"),
        ("refused", Reason.INACTIVE, "shape"),
        ("refused", Reason.TOO_MANY_INACTIVE, "limit"),
        ("server", Reason.ALLOWED, None),
        ("server", Reason.SERVER_TIMEOUT, None),
        ("", Reason.NO_CREDENTIALS, None),
    ],
)
def test_a_question_that_was_not_needed_is_counted_by_what_saved_it(
    metrics: Metrics, level: str, reason: Reason, by: str | None
) -> None:
    """What good tokens save and what bad ones would have cost are told apart."""
    decision = ALLOWED._replace(reason=reason) if reason in ALLOWING else deny(reason, rule="orders")
    metrics.checked(EVENT._replace(level=level, decision=decision))
    metrics.checked(EVENT._replace(level=level, decision=decision))
    saved = {dict(labels)["by"]: number for (name, labels), number in read(metrics).items() if name == SAVED}
    assert saved == ({by: 2.0} if by else {})


def test_requests_that_batches_saved_are_counted(metrics: Metrics) -> None:
    """As many as the event says."""
    metrics.happened(Happened(what=Happening.BATCHED, subject="main", count=49))
    metrics.happened(Happened(what=Happening.RETRIED, subject="main"))
    assert value(metrics, SAVED, by="batch") == 49.0
    assert value(metrics, "extauthz_happenings_total", what="batched", subject="main") == 49.0


@pytest.mark.shows("E68", "E78")
@pytest.mark.parametrize("outcome", ["active", "inactive", "server_timeout", "server_refused_us"])
def test_a_question_is_counted_by_server_and_outcome(metrics: Metrics, outcome: str) -> None:
    """With its time; the detail is for the log."""
    event = Introspected(server="main", outcome=outcome, took_seconds=0.003, detail="canary")
    metrics.introspected(event)
    metrics.introspected(replace(event, server="other"))
    assert value(metrics, "extauthz_introspection_seconds_count", server="main", outcome=outcome) == 1.0
    assert value(metrics, "extauthz_introspection_seconds_sum", server="other", outcome=outcome) == 0.003


@settings(deadline=None, max_examples=40)
@given(
    times=st.lists(
        st.sampled_from([0.0, 0.00005, 0.0001, 0.001, 0.5, 1.0, 1.5]) | st.floats(0, 10), min_size=1, max_size=30
    )
)
def test_times_are_counted_as_the_library_counts_them(times: list[float]) -> None:
    """Bucket by bucket, edges included, although they are counted in batches."""
    metrics, registry = Metrics(), CollectorRegistry()
    metrics.checked(EVENT)
    edges = {labels for (name, labels) in read(metrics) if name == "extauthz_check_seconds_bucket"}
    buckets = sorted(float(dict(labels)["le"]) for labels in edges)
    one_by_one = Histogram("extauthz_check_seconds", "", ("level",), buckets=buckets, registry=registry)
    for seconds in times:
        metrics.checked(EVENT._replace(level="server", took_seconds=seconds))
        one_by_one.labels("server").observe(seconds)
    expected = samples(generate_latest(registry).decode())
    counted = {key: number for key, number in read(metrics).items() if key in expected}
    assert {key for key in expected if not key[0].endswith("_created")} <= counted.keys()
    for key, number in counted.items():
        if not key[0].endswith("_created"):
            assert number == pytest.approx(expected[key])


@pytest.mark.parametrize("count", [1, 511, 512, 513, 5000])
def test_no_decision_is_lost_between_batches(metrics: Metrics, count: int) -> None:
    """Nor counted twice, however often the page is asked for."""
    for _ in range(count):
        metrics.checked(EVENT)
    labels = {"door": "envoy", "outcome": "allow", "reason": "allowed", "rule": "orders"}
    for _ in range(2):
        assert value(metrics, "extauthz_decisions_total", **labels) == count
        assert value(metrics, "extauthz_check_seconds_count", level="memory") == count


class TestStaleness:
    """How old an answer about a token may be."""

    NAME = "extauthz_max_staleness_seconds"

    @pytest.mark.parametrize("outcome", ["active", "inactive"])
    def test_it_is_longer_while_a_server_cannot_be_asked(self, metrics: Metrics, outcome: str) -> None:
        """By `stale_if_error`, until it answers again; another server has its own."""
        metrics.bound_staleness("main", 60.0, 360.0)
        metrics.bound_staleness("other", 5.0, 5.0)
        seen = [value(metrics, self.NAME, server="main")]
        for happened in ("server_timeout", outcome):
            metrics.introspected(Introspected(server="main", outcome=happened, took_seconds=0.1))
            metrics.introspected(Introspected(server="other", outcome=happened, took_seconds=0.1))
            seen.append(value(metrics, self.NAME, server="main"))
            assert value(metrics, self.NAME, server="other") == 5.0
        assert seen == [60.0, 360.0, 60.0]


def test_whether_notices_of_revocation_arrive_is_told(metrics: Metrics) -> None:
    """Where there is nobody to hear from, all of them do."""
    seen = [value(metrics, "extauthz_revocations_connected")]
    for what in (Happening.REVOCATIONS_CUT, Happening.REVOCATIONS_BACK):
        metrics.happened(Happened(what=what, subject="log"))
        seen.append(value(metrics, "extauthz_revocations_connected"))
    assert seen == [1.0, 0.0, 1.0]


def test_lost_audit_lines_are_counted(metrics: Metrics) -> None:
    """From zero, so that an alert sees the first one."""
    assert value(metrics, "extauthz_audit_lost_total") == 0.0
    metrics.audit_lost(3)
    metrics.audit_lost(2)
    assert value(metrics, "extauthz_audit_lost_total") == 5.0


def test_the_version_is_told(metrics: Metrics) -> None:
    """For a fleet in the middle of an update."""
    assert value(metrics, "extauthz_build_info", version=VERSION) == 1.0


@pytest.mark.shows("E78", "N43")
def test_nothing_of_a_request_becomes_a_label(metrics: Metrics) -> None:
    """A client that invents paths would fill the memory of whoever collects."""
    metrics.checked(EVENT)
    metrics.introspected(Introspected(server="main", outcome="active", took_seconds=0.1, detail="canary"))
    assert b"canary" not in metrics.exposition()[0]


ODDITY = st.text(max_size=20)
KNOWN: dict[str, set[str]] = {
    "door": {"envoy"},
    "outcome": {"allow", "deny"},
    "reason": {reason.value for reason in Reason},
    "rule": {"", "orders", "open"},
    "level": {"", *LEVELS},
}
"""What labels can say under a policy with these two rules."""


@pytest.mark.shows("E78", "N43")
@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.tuples(*[ODDITY] * 5), min_size=1, max_size=5))
def test_no_request_adds_a_value_to_a_label(texts: list[tuple[str, str, str, str, str]]) -> None:
    """Whatever it is made of, and whatever the token says: rules are named by the policy, all else by us."""
    metrics = Metrics()
    rules = policy(rule(), rule(name="open", path="/{any}", anonymous=True, alternatives=()))
    for method, target, host, token, request_id in texts:
        state = active(sub=token, client_id=token)
        authorizer = Authorizer(
            policy=rules,
            resolver=StubResolver({"t": state}),
            observer=metrics,
            wall=TickingClock(),
            monotonic=TickingClock(),
            decision_ids=str,
        )
        for asked in (
            request(method, target=target, host=host, token="t", request_id=request_id),
            request(target="/orders/1", host=host, token="t"),
            request(target=f"/{target}", authorization=(token,)),
        ):
            asyncio.run(authorizer.check(asked))
    labels = [labels for (name, labels) in read(metrics) if name.startswith(("extauthz_decisions", "extauthz_check_"))]
    for name, value in {pair for each in labels for pair in each if pair[0] != "le"}:
        assert value in KNOWN[name]


def test_checks_under_way_are_counted_when_somebody_looks(metrics: Metrics) -> None:
    """They need not be told of one by one."""
    waiting = [3]
    metrics.count_waiting(lambda: waiting[0])
    assert value(metrics, "extauthz_checks_waiting") == 3.0
    waiting[0] = 0
    assert value(metrics, "extauthz_checks_waiting") == 0.0


def test_the_circuit_of_a_server_is_told(metrics: Metrics) -> None:
    """Closed at the start."""
    metrics.asks("main")
    assert value(metrics, "extauthz_circuit_open", server="main") == 0.0
    metrics.happened(Happened(what=Happening.CIRCUIT_OPENED, subject="main"))
    assert value(metrics, "extauthz_circuit_open", server="main") == 1.0


def test_the_page_says_what_it_is(metrics: Metrics) -> None:
    """The text format of Prometheus."""
    assert metrics.exposition()[1].startswith("text/plain; version=")


WORKER = """
from extauthz.core.decision import Allow, Reason
from extauthz.observe.events import Checked
from extauthz.observe.metrics import Metrics

allow = Allow(reason=Reason.ALLOWED, rule="orders", identity=(), absent=())
event = Checked(decision_id="1", at=0.0, door="envoy", request_id="", method="GET", host="", path="/", decision=allow)
metrics = Metrics()
for _ in range({count}):
    metrics.checked(event)
metrics.flush()
print(metrics.exposition()[0].decode())
"""


def page_of(worker: str, folder: Path) -> str:
    """What a process of its own tells."""
    return subprocess.run(
        [sys.executable, "-c", worker],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        check=True,
        capture_output=True,
        text=True,
        timeout=55,
    ).stdout


def test_the_numbers_of_several_workers_are_summed(tmp_path: Path) -> None:
    """Those of workers that have ended too: a counter never goes back."""
    pages = [page_of(WORKER.format(count=count), tmp_path) for count in (3, 4)]
    labels = {"door": "envoy", "outcome": "allow", "reason": "allowed", "rule": "orders"}
    key = "extauthz_decisions_total", frozenset(labels.items())
    assert [samples(page)[key] for page in pages] == [3.0, 7.0]
    assert samples(pages[1])["extauthz_build_info", frozenset({("version", VERSION)})] == 1.0


SHOWING = """
from extauthz.observe.metrics import Metrics

metrics = Metrics()
for ends in {ends}:
    metrics.certificate_ends("listener", "", ends)
print(metrics.exposition()[0].decode())
"""


def test_of_the_certificates_of_several_workers_the_one_that_ends_first_counts(tmp_path: Path) -> None:
    """Of one worker, the one that it took last."""
    key = "extauthz_certificate_not_after_timestamp_seconds", frozenset({("use", "listener"), ("server", "")})
    pages = [page_of(SHOWING.format(ends=ends), tmp_path) for ends in ([3.0, 2_000.0], [1_000.0], [3_000.0])]
    assert [samples(page)[key] for page in pages] == [2_000.0, 1_000.0, 1_000.0]


def test_reloads_are_counted_by_what_came_of_them(metrics: Metrics) -> None:
    """All of them are there from the start; a refusal does not move the time of the last success."""
    gauge = "extauthz_last_reload_success_timestamp_seconds"
    started = value(metrics, gauge)
    assert started is not None
    assert {value(metrics, "extauthz_reloads_total", result=each) for each in ("reloaded", "unchanged", "refused")} == {
        0
    }
    metrics.happened(Happened(what=Happening.POLICY_REFUSED, subject="policy"))
    assert value(metrics, gauge) == started
    metrics.happened(Happened(what=Happening.POLICY_UNCHANGED, subject="policy"))
    metrics.happened(Happened(what=Happening.POLICY_RELOADED, subject="policy"))
    counts = [value(metrics, "extauthz_reloads_total", result=each) for each in ("reloaded", "unchanged", "refused")]
    assert counts == [1, 1, 1]
    assert (value(metrics, gauge) or 0) > started
