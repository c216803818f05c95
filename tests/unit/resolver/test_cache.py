"""What is kept, how long, and what can never be found in it (RFC 7662 §2.2, §4)."""

import gc
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.settings import ServerSettings
from extauthz.testing import TickingClock, active

NOW = 1_700_000_000.0
TTL = 60.0
NEGATIVE_TTL = 10.0
SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect",
    client_id="gateway",
    client_secret="s3cret",
    ttl=TTL,
    negative_ttl=NEGATIVE_TTL,
    max_entries=100,
)
TROUBLE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer")


class Bench:
    """A cache with both of its clocks."""

    def __init__(self, settings: ServerSettings = SETTINGS) -> None:
        self.monotonic = TickingClock(1000.0)
        self.wall = TickingClock(NOW)
        self.cache = TokenCache(settings, secret=b"k" * 32, monotonic=self.monotonic, wall=self.wall)

    def pass_time(self, seconds: float) -> None:
        self.monotonic.advance(seconds)
        self.wall.advance(seconds)

    def put(self, token: str, state: TokenState, asked_at: float | None = None) -> None:
        self.cache.put(self.cache.key(Token(token)), state, self.monotonic.now if asked_at is None else asked_at)

    def get(self, token: str, max_age: float | None = None) -> TokenState | None:
        found = self.cache.get(self.cache.key(Token(token)), max_age)
        return None if found is None else found.state


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.shows("S32", "S36", "E65")
@pytest.mark.parametrize(
    ("state", "lifetime"),
    [
        (active(), TTL),
        (active(exp=NOW + 5), 5.0),
        (active(exp=NOW + 1000), TTL),
        (active(exp=NOW), 0.0),
        (active(exp=NOW - 5), 0.0),
        (active(nbf=NOW - 5), TTL),
        (active(nbf=NOW + 3), 3.0),
        (active(nbf=NOW + 1000), NEGATIVE_TTL),
        (active(nbf=NOW + 8, exp=NOW + 4), 4.0),
        (Inactive(), NEGATIVE_TTL),
        (Inactive(reason=Reason.WRONG_ISSUER), NEGATIVE_TTL),
        (Inactive(cacheable=False), 0.0),
    ],
)
def test_an_answer_lives_as_long_as_it_may_and_no_longer(bench: Bench, state: TokenState, lifetime: float) -> None:
    """The ttl of its kind, never beyond `exp`, and without leeway."""
    bench.put("t", state)
    if lifetime:
        bench.pass_time(lifetime - 0.001)
        assert bench.get("t") == state
        bench.pass_time(0.002)
    assert bench.get("t") is None


@pytest.mark.shows("S32", "N52")
def test_fresh_until_is_when_the_entry_ends(bench: Bench) -> None:
    """Doors tell gateways how long an allow may be kept by it."""
    key = bench.cache.key(Token("t"))
    first = bench.cache.put(key, active(exp=NOW + 5), 1000.0)
    again = bench.cache.get(key, None)
    assert again is not None
    assert (first.level, first.fresh_until, first.asked_at) == ("server", 1005.0, 1000.0)
    assert (again.level, again.fresh_until, again.asked_at) == ("memory", 1005.0, 1000.0)


def test_life_counts_from_the_question_and_not_from_the_answer(bench: Bench) -> None:
    """The server may have looked at the token just after we asked."""
    asked_at = bench.monotonic.now
    bench.pass_time(9.0)
    bench.put("t", Inactive(), asked_at)
    assert bench.get("t") == Inactive()
    bench.pass_time(NEGATIVE_TTL - 9.0)
    assert bench.get("t") is None


@pytest.mark.shows("S33")
@pytest.mark.parametrize("ttl", ["ttl", "negative_ttl"])
def test_a_ttl_of_nothing_keeps_nothing(ttl: str) -> None:
    """Then a revocation acts on the next request."""
    bench = Bench(replace(SETTINGS, ttl=0.0) if ttl == "ttl" else replace(SETTINGS, negative_ttl=0.0))
    state = active() if ttl == "ttl" else Inactive()
    bench.put("t", state)
    assert bench.get("t") is None
    assert len(bench.cache) == 0


class TestClocks:
    """Lifetimes by the monotonic clock, `exp` by the wall clock as well."""

    @pytest.mark.shows("S32")
    def test_exp_is_compared_with_the_wall_clock_on_every_hit(self, bench: Bench) -> None:
        """A wall clock that was corrected forward ends tokens at once."""
        bench.put("t", active(exp=NOW + 30))
        bench.wall.advance(29.5)
        assert bench.get("t") == active(exp=NOW + 30)
        bench.wall.advance(0.5)
        assert bench.get("t") is None

    @pytest.mark.shows("S38")
    def test_a_wall_clock_set_back_revives_nothing(self, bench: Bench) -> None:
        """An entry ends by the monotonic clock, whatever the time of day."""
        bench.put("t", active(exp=NOW + 5))
        bench.wall.advance(-3600.0)
        bench.monotonic.advance(4.9)
        assert bench.get("t") is not None
        bench.monotonic.advance(0.2)
        assert bench.get("t") is None

    def test_a_wall_clock_set_forward_does_not_end_what_has_no_exp(self, bench: Bench) -> None:
        """Only `exp` is a time of day."""
        bench.put("t", active())
        bench.wall.advance(86_400.0)
        assert bench.get("t") == active()

    def test_an_entry_may_end_while_it_is_looked_up(self) -> None:
        """Time does not stand still between two instructions."""
        readings = iter(range(10_000))
        cache = TokenCache(SETTINGS, secret=b"k", monotonic=lambda: float(next(readings)), wall=TickingClock(NOW))
        key = cache.key(Token("t"))
        cache.put(key, active(), 0.0)
        found = [cache.get(key, None) for _ in range(100)]
        assert found[0] is not None
        assert found[-1] is None


@pytest.mark.shows("S33")
@pytest.mark.parametrize(
    ("age", "max_age", "usable"),
    [(0.0, None, True), (0.0, 0.0, False), (0.0, 5.0, True), (4.9, 5.0, True), (5.0, 5.0, False), (9.0, 5.0, False)],
)
def test_an_answer_older_than_wanted_is_not_used(bench: Bench, age: float, max_age: float | None, usable: bool) -> None:
    """Nothing is ever young enough for a `max_age` of 0."""
    bench.put("t", active())
    bench.pass_time(age)
    assert (bench.get("t", max_age) is not None) == usable


class TestRoom:
    """Good and bad answers have rooms of their own, and both have walls."""

    @pytest.mark.parametrize(("state", "room"), [(active(), 100), (Inactive(), 10)])
    def test_the_number_of_entries_is_bounded(self, bench: Bench, state: TokenState, room: int) -> None:
        """The least recently used entry makes place."""
        for number in range(room):
            bench.put(f"t{number}", state)
        assert bench.get("t0") == state
        bench.put("one more", state)
        assert len(bench.cache) == room
        assert bench.get("t0") == state
        assert bench.get("t1") is None

    def test_a_flood_of_junk_cannot_push_out_a_good_token(self, bench: Bench) -> None:
        """Anybody can send tokens that are worth nothing."""
        bench.put("good", active())
        for number in range(10_000):
            bench.put(f"junk{number}", Inactive())
        assert bench.get("good") == active()

    def test_there_is_room_for_one_of_each_at_least(self) -> None:
        """A tenth of one entry is one entry."""
        bench = Bench(replace(SETTINGS, max_entries=1))
        bench.put("good", active())
        bench.put("bad", Inactive())
        assert (bench.get("good"), bench.get("bad")) == (active(), Inactive())


class TestOrder:
    """The answer to the later question holds, in whatever order answers arrive."""

    @pytest.mark.parametrize(
        ("old", "new"), [(active(), Inactive()), (Inactive(), active()), (active("a"), active("b"))]
    )
    def test_a_later_answer_replaces_an_earlier_one(self, bench: Bench, old: TokenState, new: TokenState) -> None:
        """Also from one room to the other."""
        bench.put("t", old, 1000.0)
        bench.put("t", new, 1000.5)
        assert bench.get("t") == new
        assert len(bench.cache) == 1

    @pytest.mark.parametrize(("old", "new"), [(active(), Inactive()), (Inactive(), active())])
    def test_a_straggler_does_not_overwrite_it(self, bench: Bench, old: TokenState, new: TokenState) -> None:
        """A slow answer to an earlier question must not bring back a revoked token."""
        bench.put("t", new, 1000.5)
        bench.put("t", old, 1000.0)
        assert bench.get("t") == new

    def test_an_answer_that_may_not_be_kept_still_ends_the_earlier_one(self, bench: Bench) -> None:
        """What is known to be outdated is not repeated."""
        bench.put("t", active(), 1000.0)
        bench.put("t", active(exp=NOW - 1), 1000.5)
        assert bench.get("t") is None


class TestTrouble:
    """A server in trouble has said nothing about the token."""

    @pytest.mark.shows("S26", "S36", "E65")
    def test_it_is_not_kept(self, bench: Bench) -> None:
        """The next request asks again."""
        bench.put("t", TROUBLE)
        assert bench.get("t") is None
        assert len(bench.cache) == 0

    @pytest.mark.parametrize("known", [active(), Inactive()])
    def test_it_does_not_push_out_what_is_known(self, bench: Bench, known: TokenState) -> None:
        """Tokens that we know live on through an outage."""
        bench.put("t", known)
        bench.pass_time(1.0)
        bench.put("t", TROUBLE)
        assert bench.get("t") == known

    def test_its_caller_learns_of_it(self, bench: Bench) -> None:
        """What is not kept is answered all the same."""
        answer = bench.cache.put(b"key", TROUBLE, 1000.0)
        assert (answer.state, answer.level) == (TROUBLE, "server")


def other(change: Callable[[ServerSettings], ServerSettings], secret: bytes = b"k" * 32) -> bytes:
    clock = TickingClock()
    return TokenCache(change(SETTINGS), secret=secret, monotonic=clock, wall=clock).key(Token("t"))


class TestKey:
    """An answer can only be found by whoever would ask the same question of the same server."""

    @pytest.mark.shows("E65", "N57")
    @pytest.mark.parametrize(
        "change",
        [
            lambda settings: replace(settings, name="other"),
            lambda settings: replace(settings, introspection_endpoint="https://other.example.com/introspect"),
            lambda settings: replace(settings, client_id="other"),
            lambda settings: replace(settings, token_type_hint=""),
        ],
        ids=["server", "endpoint", "client", "hint"],
    )
    def test_it_is_bound_to_the_question(self, change: Callable[[ServerSettings], ServerSettings]) -> None:
        """The same token elsewhere, or asked about by somebody else, is another token."""
        assert other(change) != other(lambda settings: settings)

    @pytest.mark.shows("S34", "E65")
    def test_it_is_bound_to_the_process(self) -> None:
        """Without the secret nobody can compute it, so a dump of keys cannot be searched for a token."""
        assert other(lambda settings: settings, b"x" * 32) != other(lambda settings: settings)

    def test_it_is_the_same_each_time(self) -> None:
        """How long answers live makes no difference."""
        assert other(lambda settings: replace(settings, ttl=1.0)) == other(lambda settings: settings)

    @pytest.mark.shows("N57")
    def test_tokens_do_not_share_it(self, bench: Bench) -> None:
        """One letter makes another key."""
        assert len({bench.cache.key(Token(f"token{number}")) for number in range(1000)}) == 1000


class TestSecrecy:
    """A dump of the memory of the cache shows no token."""

    TOKEN = "canary-Zm9vYmFyYmF6cXV4-token"

    def parts(self, root: object) -> list[object]:
        """Everything that hangs on an object, found by the garbage collector, except code and modules."""
        seen: dict[int, object] = {}
        waiting = [root]
        while waiting:
            one = waiting.pop()
            if id(one) in seen or isinstance(one, type) or callable(one):
                continue
            seen[id(one)] = one
            waiting += gc.get_referents(one)
        return list(seen.values())

    def filled(self, bench: Bench) -> TokenCache:
        bench.put(self.TOKEN, active())
        bench.put(self.TOKEN + "2", Inactive())
        return bench.cache

    def test_the_scan_finds_what_is_there(self, bench: Bench) -> None:
        """Or else it would prove nothing."""
        bench.put("t", active(sub=self.TOKEN))
        assert self.TOKEN in self.parts(bench.cache)

    @pytest.mark.shows("S34", "E65")
    def test_no_object_in_it_has_any_piece_of_a_token(self, bench: Bench) -> None:
        """Twelve characters in a row are searched for, as text and as bytes."""
        pieces = [self.TOKEN[at : at + 12] for at in range(len(self.TOKEN) - 11)]
        texts = [one for one in self.parts(self.filled(bench)) if isinstance(one, str)]
        blobs = [bytes(one) for one in self.parts(bench.cache) if isinstance(one, bytes | bytearray)]
        assert blobs, "the keys at least"
        assert not [text for text in texts for piece in pieces if piece in text]
        assert not [blob for blob in blobs for piece in pieces if piece.encode() in blob]

    @pytest.mark.shows("S34")
    def test_no_token_is_in_what_can_be_printed_or_pickled_of_it(self, bench: Bench) -> None:
        """A token cannot be pickled at all, so a pickle that succeeds has none."""
        resolution = self.filled(bench).get(bench.cache.key(Token(self.TOKEN)), None)
        assert isinstance(resolution.state if resolution else None, Active)
        assert self.TOKEN not in repr(vars(bench.cache)) + repr(resolution)
        assert self.TOKEN.encode() not in pickle.dumps(resolution)
