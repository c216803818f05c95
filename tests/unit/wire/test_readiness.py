"""Whether this process wants work: no, yes, and no again."""

from extauthz.wire.readiness import Readiness


def test_a_process_is_not_ready_before_it_started() -> None:
    """Listeners may be open before the parts behind them are."""
    assert Readiness().serving is False


def test_it_is_ready_from_start_to_drain() -> None:
    """Once each, in this order."""
    readiness = Readiness()
    readiness.start()
    assert readiness.serving is True
    readiness.drain()
    assert readiness.serving is False


def test_a_drain_before_the_start_is_harmless() -> None:
    """A signal may come at any time."""
    readiness = Readiness()
    readiness.drain()
    assert readiness.serving is False


def test_it_waits_until_it_can_do_anything() -> None:
    """A process that knows no authorization server yet would answer nothing but 503."""
    able = False
    readiness = Readiness(able=lambda: able)
    assert readiness.why_not == "draining or not started"
    readiness.start()
    assert (readiness.serving, "no authorization server" in readiness.why_not) == (False, True)
    able = True
    assert readiness.serving
    readiness.drain()
    assert not readiness.serving
