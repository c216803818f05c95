"""The state of a part of the service is what happened last to it."""

import pytest
from prometheus_client import CollectorRegistry

from extauthz.observe.events import Happened, Happening
from extauthz.observe.states import States

STATES = [
    ("extauthz_shared_cache_up", Happening.SHARED_CACHE_DOWN, Happening.SHARED_CACHE_BACK),
    ("extauthz_revocations_connected", Happening.REVOCATIONS_CUT, Happening.REVOCATIONS_BACK),
    ("extauthz_revocations_connected", Happening.REVOCATIONS_CUT, Happening.REVOCATIONS_CONNECTED),
    ("extauthz_audit_writable", Happening.AUDIT_FAILED, Happening.AUDIT_BACK),
    ("extauthz_reload_good", Happening.POLICY_REFUSED, Happening.POLICY_RELOADED),
]


class Bench:
    """States and what is read of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.states = States(self.registry)

    def tell(self, what: Happening, subject: str = "any") -> None:
        self.states.happened(Happened(what=what, subject=subject, detail="canary"))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(("name", "worse", "better"), STATES)
def test_a_part_works_until_it_does_not_and_again_when_it_does(name: str, worse: Happening, better: Happening) -> None:
    """And nothing else changes with it."""
    bench = Bench()
    others = [other for other, _, _ in STATES if other != name]
    seen = [bench.value(name)]
    for what in (worse, worse, Happening.RETRIED, better):
        bench.tell(what)
        seen.append(bench.value(name))
        assert {bench.value(other) for other in others} == {1.0}
    assert seen == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_a_shared_cache_is_used_only_while_notices_arrive() -> None:
    """Without them nobody knows what of it was revoked, and nothing is shared; Redis may answer as well as it likes."""
    bench = Bench()
    bench.states.shares_cache()
    bench.states.revocations_connected(connected=False)
    seen = [bench.value("extauthz_shared_cache_up")]
    for what in (
        Happening.REVOCATIONS_CONNECTED,
        Happening.REVOCATIONS_CUT,
        Happening.SHARED_CACHE_DOWN,
        Happening.REVOCATIONS_BACK,
        Happening.SHARED_CACHE_BACK,
    ):
        bench.tell(what)
        seen.append(bench.value("extauthz_shared_cache_up"))
    assert seen == [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_each_server_has_a_circuit_of_its_own() -> None:
    """From the start, so that an alert has something to look at."""
    bench = Bench()
    bench.states.server("main")
    bench.states.server("other")
    bench.tell(Happening.CIRCUIT_OPENED, "main")
    name = "extauthz_circuit_open"
    assert (bench.value(name, server="main"), bench.value(name, server="other")) == (1.0, 0.0)
    bench.tell(Happening.CIRCUIT_CLOSED, "main")
    assert bench.value(name, server="main") == 0.0
