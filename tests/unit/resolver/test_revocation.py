"""Notices and the order in which they and the answers came."""

import pytest
from hypothesis import given, strategies as st

from extauthz.core.introspection import Inactive
from extauthz.resolver.revocation import ALL, ONLY_HERE, Kind, Mark, Notice, Revocations
from extauthz.testing import active

STATE = active(sub="u1", jti="j1", client_id="app")
TOKEN = Notice(Kind.TOKEN, "hash")


def plain(kind: str, claim: str) -> str:
    return f"{kind} {claim}"


@pytest.fixture
def table() -> Revocations:
    return Revocations(plain, max_notices=3)


def test_nothing_was_revoked_at_first(table: Revocations) -> None:
    """Everything that is known is usable."""
    assert table.last("hash", STATE) == Mark(0, 0)


@pytest.mark.parametrize(
    "notice",
    [TOKEN, Notice(Kind.JTI, "jti j1"), Notice(Kind.SUB, "sub u1"), Notice(Kind.CLIENT_ID, "client_id app"), ALL],
)
def test_the_latest_notice_about_a_token_counts(table: Revocations, notice: Notice) -> None:
    """By whatever it names it."""
    table.take(Notice(Kind.SUB, "sub somebody"), 4)
    table.take(notice, 7)
    assert table.last("hash", STATE) == Mark(2, 7)
    assert table.last("other", active(sub="u2")) == (Mark(2, 7) if notice == ALL else Mark(0, 0))


def test_of_an_inactive_token_only_the_token_is_known(table: Revocations) -> None:
    """A notice about it may mean that it is active now."""
    table.take(TOKEN, 1)
    assert table.last("hash", Inactive()) == Mark(1, 1)


def test_both_counters_keep_their_own_order(table: Revocations) -> None:
    """What was written first may be taken in last."""
    table.take(Notice(Kind.SUB, "sub u1"), 9)
    table.take(TOKEN, 8)
    assert table.last("hash", STATE) == Mark(2, 9)


class TestTwice:
    """A process hears its own notices again from the log."""

    @pytest.mark.parametrize("notice", [TOKEN, ALL])
    def test_the_same_place_in_the_log_is_the_same_notice(self, table: Revocations, notice: Notice) -> None:
        """It forgets nothing that was asked meanwhile."""
        assert table.take(notice, 5)
        assert not table.take(notice, 5)
        assert table.number == 1

    @pytest.mark.parametrize("notice", [TOKEN, ALL])
    def test_a_later_place_is_another_notice(self, table: Revocations, notice: Notice) -> None:
        """A subject can be revoked every day."""
        table.take(notice, 5)
        assert table.take(notice, 6)
        assert table.last("hash", STATE) == Mark(2, 6)

    def test_a_notice_about_everything_covers_those_before(self, table: Revocations) -> None:
        """A straggler tells nothing new."""
        table.take(ALL, 5)
        assert not table.take(TOKEN, 4)

    @pytest.mark.parametrize("notice", [TOKEN, ALL])
    def test_what_only_this_process_knows_is_later_than_all_shared_values(
        self, table: Revocations, notice: Notice
    ) -> None:
        """Until it has its place in the log after all."""
        table.take(notice)
        assert table.last("hash", STATE) == Mark(1, ONLY_HERE)
        assert table.take(notice, 5)
        assert table.last("hash", STATE) == Mark(2, 5)


class TestBounds:
    """The table is bounded, and errs on the side of forgetting."""

    def test_dropping_the_oldest_notice_forgets_everything_before_it(self, table: Revocations) -> None:
        """Whatever it was about: that is no longer known."""
        for position in range(1, 5):
            table.take(Notice(Kind.SUB, f"sub {position}"), position)
        assert len(table) == 3
        assert table.last("other", active(sub="never revoked")) == Mark(1, 1)

    def test_repeated_notices_take_one_place(self, table: Revocations) -> None:
        """And become the newest."""
        table.take(TOKEN, 1)
        for position in (2, 3):
            table.take(Notice(Kind.SUB, f"sub {position}"), position)
        table.take(TOKEN, 4)
        table.take(Notice(Kind.SUB, "sub 5"), 5)
        assert table.last("hash", active(sub=None)) == Mark(4, 4)

    def test_missed_notices_forget_what_they_may_have_been_about(self, table: Revocations) -> None:
        """Everything asked before them."""
        table.missed(9)
        assert table.last("hash", STATE) == Mark(1, 9)
        table.missed(3)
        assert table.last("hash", STATE) == Mark(2, 9)


@given(
    st.lists(st.tuples(st.sampled_from([*"abcdefgh", "all"]), st.booleans()), max_size=60),
    st.sampled_from("abcdefgh"),
    st.integers(0, 60),
)
def test_no_notice_is_ever_lost(history: list[tuple[str, bool]], subject: str, asked_after: int) -> None:
    """An answer is usable only if no notice about it came after its question, whatever else the table has forgotten."""
    table = Revocations(plain, max_notices=3)
    revoked, number_when_asked = False, 0
    for place, (name, here_only) in enumerate(history, start=1):
        table.take(ALL if name == "all" else Notice(Kind.SUB, f"sub {name}"), ONLY_HERE if here_only else place)
        revoked |= place > asked_after and name in (subject, "all")
        number_when_asked = table.number if place <= asked_after else number_when_asked
    last = table.last("hash", active(sub=subject))
    assert not revoked or (last.number > number_when_asked and last.position > asked_after)
