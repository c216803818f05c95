"""Bad tokens of one address are counted, and no other address pays for them."""

import pytest

from extauthz.resolver.limiter import InactiveLimiter, LimitSettings, network
from extauthz.testing import TickingClock

SETTINGS = LimitSettings(per_minute=60, burst=5, max_addresses=3)
GUESSER, OTHER = "192.0.2.1", "192.0.2.2"


class Bench:
    """A limiter with its clock."""

    def __init__(self, settings: LimitSettings | None = SETTINGS) -> None:
        self.clock = TickingClock(1000.0)
        self.limiter = InactiveLimiter(settings, self.clock)

    def send(self, count: int, address: str = GUESSER) -> int:
        """How many of so many questions about bad tokens are allowed."""
        return sum(self.limiter.take(address) == 0 for _ in range(count))


def test_so_many_at_once_and_no_more() -> None:
    """And it says in how many seconds one more is allowed."""
    bench = Bench()
    assert bench.send(100) == 5
    assert bench.limiter.take(GUESSER) == pytest.approx(1.0)
    bench.clock.advance(0.25)
    assert bench.limiter.take(GUESSER) == pytest.approx(0.75)


def test_time_refills_the_bucket_at_the_rate_that_is_configured() -> None:
    """Up to the burst."""
    bench = Bench()
    bench.send(5)
    for seconds, allowed in ((3.0, 3), (0.5, 0), (0.5, 1), (3600.0, 5)):
        bench.clock.advance(seconds)
        assert bench.send(100) == allowed


@pytest.mark.shows("S40")
def test_a_flood_is_asked_about_at_the_configured_rate_only() -> None:
    """A thousand a second for ten minutes: the burst, then sixty a minute."""
    bench = Bench()
    allowed = 0
    for _ in range(600):
        allowed += bench.send(1000)
        bench.clock.advance(1.0)
    assert allowed == 5 + 599


def test_a_token_that_was_good_costs_nothing() -> None:
    """However many they are, as long as not more than the burst are in question at once."""
    bench = Bench()
    for _ in range(1000):
        assert bench.limiter.take(GUESSER) == 0
        bench.limiter.give_back(GUESSER)
    assert bench.send(100) == 5


def test_giving_back_never_fills_a_bucket_beyond_the_burst() -> None:
    """Nor that of somebody who took nothing."""
    bench = Bench()
    bench.send(1)
    for _ in range(10):
        bench.limiter.give_back(GUESSER)
    bench.limiter.give_back(OTHER)
    assert (bench.send(100), bench.send(100, OTHER)) == (5, 5)


def test_addresses_do_not_pay_for_each_other() -> None:
    """Only the one that guesses is limited."""
    bench = Bench()
    bench.send(100)
    assert bench.send(100, OTHER) == 5


def test_the_table_is_bounded_and_forgets_who_was_quiet_for_longest() -> None:
    """A forgotten address begins with a full bucket."""
    bench = Bench()
    for address in ("a", "b", "c", "a", "d"):
        bench.send(5, address)
    assert len(bench.limiter) == 3
    assert [bench.send(1, address) for address in ("a", "c", "d")] == [0, 0, 0]
    assert bench.send(100, "b") == 5


@pytest.mark.parametrize(("settings", "address"), [(None, GUESSER), (SETTINGS, "")], ids=["off", "not known"])
def test_what_is_not_limited(settings: LimitSettings | None, address: str) -> None:
    """Nothing is kept about it either: all whose address is unknown would else share one bucket."""
    bench = Bench(settings)
    assert bench.send(1000, address) == 1000
    bench.limiter.give_back(address)
    assert len(bench.limiter) == 0


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("192.0.2.1", "192.0.2.1:40000", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "[2001:DB8:0::2]:40000", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unix:", "unix:", True),
        ("unknown", "_hidden", False),
        ("x" * 64, "x" * 1000, True),
    ],
)
def test_which_addresses_have_one_bucket(one: str, another: str, same: bool) -> None:
    """One subscriber has a whole /64 of IPv6; a port says nothing."""
    assert (network(one) == network(another)) is same
