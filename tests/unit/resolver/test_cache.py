"""What is kept, how long, and what can never be found in it (RFC 7662 §2.2, §4)."""

import gc
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache, fingerprint, token_hash, token_key
from extauthz.resolver.revocation import ALL, Kind, Notice, Revocations
from extauthz.resolver.sealing import Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.weight import weigh
from extauthz.testing import TickingClock, active

NOW = 1_700_000_000.0
TTL = 60.0
NEGATIVE_TTL = 10.0
SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect",
    client_id="gateway",
    ttl=TTL,
    negative_ttl=NEGATIVE_TTL,
    max_entries=100,
)
KEYS = Keys.derive(b"k" * 32)
TROUBLE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer")


class Bench:
    """A cache with both of its clocks."""

    def __init__(self, settings: ServerSettings = SETTINGS) -> None:
        self.monotonic = TickingClock(1000.0)
        self.wall = TickingClock(NOW)
        self.revocations = Revocations(KEYS.name_hash)
        self.cache = TokenCache(
            settings, secret=KEYS.tokens, monotonic=self.monotonic, wall=self.wall, revocations=self.revocations
        )

    def pass_time(self, seconds: float) -> None:
        self.monotonic.advance(seconds)
        self.wall.advance(seconds)

    def put(self, token: str, state: TokenState, asked_at: float | None = None) -> None:
        asked_at = self.monotonic.now if asked_at is None else asked_at
        self.cache.put(self.cache.key(Token(token)), state, asked_at, self.revocations.number)

    def revoke(self, kind: Kind, name: str) -> None:
        value = KEYS.token_hash(name).hex() if kind is Kind.TOKEN else KEYS.name_hash(kind, name)
        self.revocations.take(Notice(kind, value))

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

    def test_the_bytes_of_entries_are_bounded(self) -> None:
        """Large answers have fewer places."""
        state = active(sub="u" * 50_000)
        bench = Bench(replace(SETTINGS, max_bytes=10 * weigh(state)))
        for number in range(20):
            bench.put(f"t{number}", state)
        assert len(bench.cache) == 10
        assert bench.get("t19") == state

    def test_large_and_small_entries_keep_both_bounds(self) -> None:
        """In whatever mixture they come."""
        large, small = active(sub="u" * 50_000), active()
        bench = Bench(replace(SETTINGS, max_bytes=10 * weigh(large)))
        states = [large, small, small] * 100
        for number, state in enumerate(states):
            bench.put(f"t{number}", state)
        kept = [state for number, state in enumerate(states) if bench.get(f"t{number}") is not None]
        assert 10 < len(kept) <= 100
        assert sum(map(weigh, kept)) <= 10 * weigh(large)

    def test_what_is_larger_than_the_room_is_not_kept(self, bench: Bench) -> None:
        """And ends what was known before."""
        small = Bench(replace(SETTINGS, max_bytes=10_000))
        small.put("t", active())
        assert small.get("t") is not None
        small.put("t", active(sub="u" * 50_000))
        assert small.get("t") is None


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


class TestRevocation:
    """An answer to a question that was asked before a notice about it is forgotten."""

    STATE = active(sub="u1", jti="j1", client_id="app")

    @pytest.mark.parametrize(
        ("kind", "name"), [(Kind.TOKEN, "t"), (Kind.JTI, "j1"), (Kind.SUB, "u1"), (Kind.CLIENT_ID, "app")]
    )
    def test_a_notice_reaches_what_it_names_and_nothing_else(self, bench: Bench, kind: Kind, name: str) -> None:
        """Token, jti, subject or client."""
        bench.put("t", self.STATE)
        bench.put("other", active(sub="u2", jti="j2", client_id="app2"))
        bench.revoke(kind, name)
        assert (bench.get("t"), bench.get("other") is not None) == (None, True)

    @pytest.mark.parametrize(
        ("kind", "name"), [(Kind.TOKEN, "x"), (Kind.JTI, "u1"), (Kind.SUB, "app"), (Kind.CLIENT_ID, "j1")]
    )
    def test_a_name_of_another_kind_is_another_name(self, bench: Bench, kind: Kind, name: str) -> None:
        """A client may be called like a user."""
        bench.put("t", self.STATE)
        bench.revoke(kind, name)
        assert bench.get("t") == self.STATE

    def test_a_notice_about_everything_leaves_nothing(self, bench: Bench) -> None:
        """Inactive answers too: that, too, may have changed."""
        bench.put("t", self.STATE)
        bench.put("junk", Inactive())
        bench.revocations.take(ALL)
        assert (bench.get("t"), bench.get("junk")) == (None, None)

    def test_an_answer_to_a_later_question_is_good(self, bench: Bench) -> None:
        """To revoke is to forget once."""
        bench.put("t", self.STATE)
        bench.revoke(Kind.SUB, "u1")
        bench.put("t", self.STATE)
        assert bench.get("t") == self.STATE

    def test_an_answer_to_a_question_from_before_is_not(self, bench: Bench) -> None:
        """However late it arrives."""
        number = bench.revocations.number
        bench.revoke(Kind.SUB, "u1")
        bench.cache.put(bench.cache.key(Token("t")), self.STATE, bench.monotonic.now, number)
        assert bench.get("t") is None

    def test_having_survived_one_notice_does_not_help_against_the_next(self, bench: Bench) -> None:
        """An entry is looked at anew for each."""
        bench.put("t", self.STATE)
        bench.revoke(Kind.SUB, "u2")
        assert bench.get("t") == self.STATE
        bench.revoke(Kind.SUB, "u1")
        assert bench.get("t") is None

    def test_what_is_unknown_of_a_token_cannot_be_revoked(self, bench: Bench) -> None:
        """An answer without a subject is reached by its token, its client, or the notice about everything."""
        bench.put("t", active(sub=None))
        bench.revoke(Kind.SUB, "None")
        assert bench.get("t") is not None


@pytest.mark.shows("S37")
class TestStale:
    """For a server that cannot be asked: the answer from before, for so long and no longer."""

    def bench(self, **changes: float) -> Bench:
        return Bench(replace(SETTINGS, stale_if_error=30.0, **changes))  # type: ignore[arg-type] # seconds all of them

    def stale(self, bench: Bench, max_age: float | None = None, token: str = "t") -> bool:
        found = bench.cache.stale(bench.cache.key(Token(token)), max_age)
        assert found is None or (found.level, found.fresh_until) == ("stale", bench.monotonic.now)
        return found is not None

    @pytest.mark.parametrize(("age", "usable"), [(0.0, True), (60.0, True), (89.9, True), (90.0, False)])
    def test_it_is_bounded(self, age: float, usable: bool) -> None:
        """By the ttl and this much; meanwhile it is not taken for a fresh one."""
        bench = self.bench()
        bench.put("t", active())
        bench.pass_time(age)
        assert self.stale(bench) == usable
        assert (bench.get("t") is None) == (age >= TTL)

    def test_it_is_off_by_default(self, bench: Bench) -> None:
        """An outage does not prolong a token."""
        bench.put("t", active())
        bench.pass_time(TTL)
        assert not self.stale(bench)

    @pytest.mark.parametrize("clock", ["both", "wall"])
    def test_it_is_never_used_past_exp(self, clock: str) -> None:
        """By the wall clock, also when that was set."""
        bench = self.bench()
        bench.put("t", active(exp=NOW + 70))
        bench.pass_time(65.0)
        assert self.stale(bench)
        bench.pass_time(5.0) if clock == "both" else bench.wall.advance(5.0)
        assert not self.stale(bench)

    def test_a_revoked_one_is_never_used(self) -> None:
        """Whatever happened to the server."""
        bench = self.bench()
        bench.put("t", active())
        bench.pass_time(TTL)
        bench.revoke(Kind.SUB, "u1")
        assert not self.stale(bench)

    def test_an_inactive_one_is_not_kept_longer(self) -> None:
        """It may have become active; that is for the server to say."""
        bench = self.bench()
        bench.put("t", Inactive())
        bench.pass_time(NEGATIVE_TTL)
        assert not self.stale(bench)

    @pytest.mark.parametrize(
        ("max_age", "age", "usable"), [(0.0, 0.0, False), (5.0, 34.9, True), (5.0, 35.0, False), (500.0, 89.9, True)]
    )
    def test_a_route_that_wants_fresher_answers_has_its_own_bound(
        self, max_age: float, age: float, usable: bool
    ) -> None:
        """Its age and this much; a live one takes none."""
        bench = self.bench()
        bench.put("t", active())
        bench.pass_time(age)
        assert self.stale(bench, max_age) == usable

    @pytest.mark.parametrize(
        ("max_stale", "age", "usable"),
        [(0.0, TTL, False), (5.0, TTL + 4.9, True), (5.0, TTL + 5.0, False), (500.0, TTL + 30.0, False)],
    )
    def test_a_route_can_allow_less_and_not_more(self, max_stale: float, age: float, usable: bool) -> None:
        """What the server's settings say is the most."""
        bench = self.bench()
        bench.put("t", active())
        bench.pass_time(age)
        found = bench.cache.stale(bench.cache.key(Token("t")), None, max_stale)
        assert (found is not None) == usable

    def test_it_works_where_nothing_else_is_kept(self) -> None:
        """A ttl of 0 asks every time, as long as somebody answers."""
        bench = self.bench(ttl=0.0)
        bench.put("t", active())
        assert bench.get("t") is None
        assert self.stale(bench)

    @pytest.mark.shows("S38")
    def test_a_wall_clock_set_back_does_not_prolong_it(self) -> None:
        """Its end is a monotonic one."""
        bench = self.bench()
        bench.put("t", active())
        bench.wall.advance(-3600.0)
        bench.monotonic.advance(90.0)
        assert not self.stale(bench)


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
            lambda settings: replace(settings, issuer="https://as.example.com"),
        ],
        ids=["server", "endpoint", "client", "hint", "issuer"],
    )
    def test_it_is_bound_to_the_question(self, change: Callable[[ServerSettings], ServerSettings]) -> None:
        """The same token elsewhere, or asked about by somebody else, is another token."""
        assert other(change) != other(lambda settings: settings)

    @pytest.mark.shows("S34", "E65")
    def test_it_is_bound_to_the_process(self) -> None:
        """Without the secret nobody can compute it, so a dump of keys cannot be searched for a token."""
        assert other(lambda settings: settings, b"x" * 32) != other(lambda settings: settings)

    def test_it_is_the_same_each_time(self) -> None:
        """How long answers live and how many are kept makes no difference."""
        changed = replace(SETTINGS, ttl=1.0, max_bytes=1, stale_if_error=1.0, timeout=9.0)
        assert other(lambda _: changed) == other(lambda settings: settings)

    @pytest.mark.shows("N57")
    def test_it_is_made_alike_for_the_cache_that_processes_share(self, bench: Bench) -> None:
        """And the hash of the token can be told from it, as notices of revocation have it."""
        token = Token("t")
        key = token_key(fingerprint(SETTINGS, KEYS.tokens), KEYS.tokens, token)
        assert bench.cache.key(token) == key
        assert token_hash(key) == KEYS.token_hash("t").hex()

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


class TestRotation:
    """The secret that keys are made with may change."""

    def test_under_another_secret_nothing_is_kept(self, bench: Bench) -> None:
        """Notices about what was kept would come under another name; what is learnt from then on is kept as before."""
        bench.put("t", active())
        bench.put("u", Inactive())
        bench.cache.rotate(b"n" * 32, [KEYS.tokens])
        assert (bench.get("t"), len(bench.cache)) == (None, 0)
        bench.put("t", active())
        assert bench.get("t") == active()

    def test_as_long_as_the_secret_stays_all_is_kept(self, bench: Bench) -> None:
        """Whatever comes before or behind it."""
        bench.put("t", active())
        for older in ([b"o" * 32], []):
            bench.cache.rotate(KEYS.tokens, older)
            assert bench.get("t") == active()
