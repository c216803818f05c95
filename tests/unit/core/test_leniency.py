"""Other shapes than the standard's (RFC 7662 §2.2): each is accepted by its own option, and none grants more than it says."""

import json

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Answer, Inactive, TokenState, Unavailable, read_answer
from extauthz.core.leniency import STRICT, Leniency, standard_shapes

ALL = Leniency(scope_array=True, string_active=True, string_exp=True)


def read(members: dict[str, object], leniency: Leniency) -> TokenState:
    """The state that an answer with these members leads to."""
    answer = Answer(status=200, content_type="application/json", body=json.dumps(members).encode())
    return read_answer(answer, issuer=None, answers_others=True, leniency=leniency)


def is_garbage(state: TokenState) -> bool:
    """Whether nothing was learnt because of the answer itself."""
    return isinstance(state, Unavailable) and state.reason is Reason.SERVER_ANSWER_INVALID


@pytest.mark.parametrize(
    "members",
    [{}, {"active": True, "scope": "a b", "exp": 5, "nbf": 1.5, "x": []}, {"scope": 5, "exp": None, "active": None}],
)
@pytest.mark.parametrize("leniency", [STRICT, ALL])
def test_what_needs_no_leniency_is_left_alone(members: dict[str, object], leniency: Leniency) -> None:
    """The standard's own shapes, and shapes that nobody asked for."""
    assert standard_shapes(members, leniency) == members


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("true", Active(scopes=frozenset())),
        ("false", Inactive()),
        (True, Active(scopes=frozenset())),
        (False, Inactive()),
    ],
)
def test_active_may_be_one_of_two_strings(value: object, state: TokenState) -> None:
    """And each means what it says: `"false"` is a string that Python takes for true."""
    assert read({"active": value}, Leniency(string_active=True)) == state


@pytest.mark.parametrize("value", ["True", "TRUE", "yes", "1", "", " true", "true\n", 1, 0, None, [], ["true"], {}])
@pytest.mark.parametrize("leniency", [STRICT, ALL])
def test_active_may_be_nothing_else(value: object, leniency: Leniency) -> None:
    """A word that only resembles an answer is none."""
    assert is_garbage(read({"active": value}, leniency))


@pytest.mark.shows("S46", "E20")
@pytest.mark.parametrize(
    ("value", "scope"),
    [
        (["orders:read", "orders:write"], "orders:read orders:write"),
        (["orders:read", "orders:read"], "orders:read"),
        ([], ""),
        (["orders:read admin"], ""),
        (["orders:read", "a b", "", 'x"', "ü", 5, None, ["admin"], {"admin": True}], "orders:read"),
        ("orders:read admin", "orders:read admin"),
        ({"orders:read": True}, ""),
    ],
)
def test_a_scope_array_grants_its_words(value: object, scope: str) -> None:
    """An element that is no scope of its own grants nothing, and never two."""
    state = read({"active": True, "scope": value}, Leniency(scope_array=True))
    assert isinstance(state, Active)
    assert (state.scope, state.scopes) == (scope, frozenset(scope.split()))


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize(
    ("value", "seconds"), [("1700000300", 1_700_000_300.0), ("0", 0.0), (1_700_000_300, 1.7000003e9)]
)
def test_a_time_may_be_digits(name: str, value: object, seconds: float) -> None:
    """Whole seconds, as in a number."""
    state = read({"active": True, name: value}, Leniency(string_exp=True))
    assert isinstance(state, Active)
    assert getattr(state, name) == seconds


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize(
    "value",
    ["", "-1", "+1", " 1", "1.5", "1e9", "1_000", "0x1", "\u0661", "\u00b2", "9" * 17, "9" * 9999, "9007199254740993"],
)
def test_a_time_may_be_no_other_string(name: str, value: str) -> None:
    """What Python would read as a number is not what a server would write."""
    assert is_garbage(read({"active": True, name: value}, ALL))


@pytest.mark.shows("S46")
@pytest.mark.parametrize(
    ("members", "alone"),
    [
        ({"active": "true"}, Leniency(string_active=True)),
        ({"active": True, "exp": "5"}, Leniency(string_exp=True)),
        ({"active": True, "scope": ["a"]}, Leniency(scope_array=True)),
    ],
    ids=["active", "exp", "scope"],
)
def test_each_option_opens_one_door(members: dict[str, object], alone: Leniency) -> None:
    """The other two do not open it."""
    others = Leniency(
        scope_array=not alone.scope_array, string_active=not alone.string_active, string_exp=not alone.string_exp
    )
    assert read(members, others) == read(members, STRICT)
    assert read(members, alone) == read(members, ALL) != read(members, STRICT)
