"""What processes tell each other survives the way, and nothing else is taken for it."""

import dataclasses
import json

import pytest
from hypothesis import given, strategies as st

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive
from extauthz.resolver.shared_value import HEADER_BYTES, Learnt, asked_at, decode, encode, header

FULL = Active(
    scopes=frozenset({"a", "b"}),
    scope="a b",
    sub="u1",
    client_id="app",
    username="name",
    iss="https://as.example.com",
    jti="j1",
    aud=("x", "y"),
    exp=1_700_000_300.0,
    nbf=1_700_000_000.0,
    claims={"roles": ["r"], "big": 2**70, "lone": "\ud800", "ratio": 0.1, "none": None},
)
TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("state", [FULL, Active(scopes=frozenset()), Inactive(), Inactive(reason=Reason.WRONG_ISSUER)])
def test_what_was_told_is_understood(state: Active | Inactive) -> None:
    """To the last member."""
    assert decode(encode(Learnt(state=state, position=7))) == Learnt(state=state, position=7)


def test_the_fullest_answer_has_every_member() -> None:
    """So the test above notices a member that would be lost on the way."""
    empty = Active(scopes=frozenset())
    names = [field.name for field in dataclasses.fields(Active) if field.init]
    assert all(getattr(FULL, name) != getattr(empty, name) for name in names)


@given(st.dictionaries(TEXT, JSON, max_size=4), st.integers(0, 2**63))
def test_claims_are_what_they_were(claims: dict[str, object], position: int) -> None:
    """Whatever JSON has."""
    learnt = Learnt(state=Active(scopes=frozenset(), claims=claims), position=position)
    assert decode(encode(learnt)) == learnt


@given(st.binary(max_size=60))
def test_other_bytes_mean_nothing(plain: bytes) -> None:
    """They could only come from another version of ourselves."""
    assert decode(plain) is None


@pytest.mark.parametrize(
    "change",
    [
        {"position": "7"},
        {"position": True},
        {"position": None},
        {"scope": None},
        {"sub": 1},
        {"exp": "1"},
        {"exp": 1},
        {"aud": "x"},
        {"aud": [1]},
        {"claims": []},
        {"inactive": "nonsense"},
        {"inactive": 1},
    ],
)
def test_a_member_of_another_type_spoils_it_all(change: dict[str, object]) -> None:
    """Nothing is guessed."""
    told = json.loads(encode(Learnt(state=FULL, position=7)))
    assert decode(json.dumps(told | change).encode()) is None


@pytest.mark.parametrize("name", ["position", "scope", "sub", "exp", "aud", "claims"])
def test_a_missing_member_does_so_too(name: str) -> None:
    """Even one that may be null."""
    told = json.loads(encode(Learnt(state=FULL, position=7)))
    del told[name]
    assert decode(json.dumps(told).encode()) is None


class TestHeader:
    """The front of a value, which Redis compares."""

    @given(st.floats(0, 1e11), st.floats(0, 1e11))
    def test_the_later_one_is_the_greater_one(self, first: float, second: float) -> None:
        """By bytes, to the millisecond."""
        if int(first * 1000) < int(second * 1000):
            assert header(first) < header(second)

    def test_it_says_when_the_question_was_asked(self) -> None:
        """To the millisecond."""
        front = header(1_700_000_000.1239)
        assert len(front) == HEADER_BYTES
        assert asked_at(front + b"box") == 1_700_000_000.123

    @pytest.mark.parametrize("value", [b"", b"1", b"2000000000000000", b"1 00000000000000", b"x" * 20])
    def test_other_versions_have_none(self, value: bytes) -> None:
        """Nor has garbage."""
        assert asked_at(value) is None
