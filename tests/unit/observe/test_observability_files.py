"""The files for Prometheus and Grafana, and the table of metrics, speak of metrics that there are."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from extauthz.core.decision import Reason
from extauthz.core.introspection import LEVELS
from extauthz.observe.events import Happening
from extauthz.observe.logs import TROUBLE
from extauthz.observe.metrics import Metrics
from extauthz.observe.states import MEANINGS

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "observability" / "alerts.yaml"
DASHBOARD = ROOT / "observability" / "grafana-dashboard.json"
PAGE = ROOT / "docs" / "observability.md"

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_PROMETHEUS = {"instance", "job"}
VALUES: Mapping[str, set[str]] = {
    "reason": {reason.value for reason in Reason},
    "what": {happening.value for happening in Happening},
    "level": {"", *LEVELS},
    "outcome": {"allow", "deny", "active", "inactive", *(reason.value for reason in Reason)},
}
"""What these labels can say; rules, servers and the like are the operator's."""

VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*"}


def metrics() -> list[MetricWrapperBase]:
    """All that a worker has, in the order of their names."""
    found = set(Metrics()._registry._collector_to_names)  # noqa: SLF001 - the library lists no metrics without samples
    return sorted((each for each in found if isinstance(each, MetricWrapperBase)), key=lambda each: each._name)  # noqa: SLF001 - same


def samples() -> dict[str, set[str]]:
    """Name of each sample, and the labels that it has."""
    return {
        metric._name + suffix: set(metric._labelnames) | ({"le"} if suffix == "_bucket" else set())  # noqa: SLF001 - same
        for metric in metrics()
        for suffix in SUFFIXES[str(metric._type)]  # noqa: SLF001 - same
    }


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Where each stands, and what it is as Prometheus gets it."""
    board = json.loads(DASHBOARD.read_text())
    said = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    said += [(each["name"], each["expr"]) for each in board["annotations"]["list"]]
    for title, query in said:
        for variable, value in VARIABLES.items():
            query = query.replace(variable, value)  # noqa: PLW2901 - the same query, filled in
        yield title, query


QUERIES = [*((alert["alert"], alert["expr"]) for alert in alerts()), *dashboard_queries()]


def parts(expression: object) -> Iterator[object]:
    """It and all that it is made of."""
    yield expression
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        inner = getattr(expression, name, None)
        if inner is not None:
            yield from parts(inner)
    for inner in getattr(expression, "args", ()):
        yield from parts(inner)


def selectors(query: str) -> list[promql.VectorSelector]:
    return [part for part in parts(promql.parse(query)) if isinstance(part, promql.VectorSelector)]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_each_query_asks_for_what_there_is(where: str, query: str) -> None:
    """It is well formed; metrics, labels and values of labels exist."""
    known = samples()
    asked = selectors(query)
    assert asked, where
    for selector in asked:
        assert selector.name in known
        for matcher in selector.matchers.matchers:
            assert matcher.name in known[selector.name] | OF_PROMETHEUS
            for word in matcher.value.split("|") if matcher.name in VALUES else ():
                assert any(re.fullmatch(word, value) for value in VALUES[matcher.name]), word
    labels = {label for selector in asked for label in known[str(selector.name)]} | OF_PROMETHEUS
    grouped = [
        part.modifier.labels
        for part in parts(promql.parse(query))
        if isinstance(part, promql.AggregateExpr) and part.modifier
    ]
    assert {label for each in grouped for label in each} <= labels


def words_of_alerts() -> tuple[set[str], set[str]]:
    """Metrics and values of labels that some alert looks at."""
    found = [selector for alert in alerts() for selector in selectors(alert["expr"])]
    words = {word for each in found for matcher in each.matchers.matchers for word in matcher.value.split("|")}
    return {str(selector.name) for selector in found}, words


@pytest.mark.parametrize("happening", TROUBLE)
def test_whatever_is_trouble_in_the_log_raises_an_alert(happening: Happening) -> None:
    """By its count, or by the state that it changes."""
    names, words = words_of_alerts()
    gauge, _ = MEANINGS.get(happening, ("", 0))
    assert happening.value in words or gauge in names


@pytest.mark.parametrize(
    "reason", [Reason.INTERNAL, Reason.SERVER_REFUSED_US, Reason.ALLOWED_STALE, Reason.AUDIT_UNAVAILABLE]
)
def test_a_decision_that_should_not_be_raises_an_alert(reason: Reason) -> None:
    assert reason.value in words_of_alerts()[1]


def test_the_end_of_a_certificate_raises_an_alert_before_and_after() -> None:
    """Two weeks before it can wait for the morning, afterwards it cannot."""
    name = "extauthz_certificate_not_after_timestamp_seconds"
    found = {alert["labels"]["severity"]: alert["expr"] for alert in alerts() if name in alert["expr"]}
    assert found.keys() == {"ticket", "page"}
    assert found["ticket"].endswith("- time() < 14 * 86400")
    assert found["page"].endswith("< time()")


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_urgent_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    """Labels that its text names are those that it has."""
    assert alert["labels"]["severity"] in ("page", "ticket")
    text = " ".join(alert["annotations"].values())
    assert set(alert["annotations"]) == {"summary", "description"}
    for label in re.findall(r"\$labels\.(\w+)", text):
        assert f"by ({label}" in alert["expr"] or f", {label}" in alert["expr"]


def test_every_metric_is_on_the_dashboard() -> None:
    """Who adds one decides where it is seen."""
    shown = {str(selector.name) for _, query in dashboard_queries() for selector in selectors(query)}
    for metric in metrics():
        assert shown & {metric._name + suffix for suffix in SUFFIXES[str(metric._type)]}, metric._name  # noqa: SLF001 - see above


def test_no_two_panels_overlap() -> None:
    """Grafana moves them about if they do."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def table() -> str:
    """The metrics as the page has them."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in metrics():
        name = metric._name + ("_total" if metric._type == "counter" else "")  # noqa: SLF001 - see above
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - see above
        rows.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")  # noqa: SLF001 - see above
    return "\n".join(rows)


def test_the_table_of_metrics_is_that_of_the_program() -> None:
    """The message of a failure is the table to copy."""
    assert table() in PAGE.read_text(), table()


def test_the_page_has_every_member_of_an_audit_line() -> None:
    """Who adds one says what it means."""
    source = (ROOT / "src" / "extauthz" / "observe" / "audit_line.py").read_text()
    members = set(re.findall(r'^        "(\w+)":', source, re.MULTILINE)) | set(re.findall(r'line\["(\w+)"\]', source))
    assert len(members) > 15
    assert members - set(re.findall(r"`(\w+)`", PAGE.read_text())) == set()
