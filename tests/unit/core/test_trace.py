"""A trace goes on with the same id, and one that makes no sense begins anew."""

import pytest
from hypothesis import given, strategies as st

from extauthz.core.trace import child_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def new_id(count: int) -> str:
    return "e" * (2 * count)


@pytest.mark.shows("E75")
@pytest.mark.parametrize(
    ("sent", "goes_on"),
    [
        (f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{new_id(8)}-01"),
        (f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{new_id(8)}-00"),
        (f"00-{TRACE}-{PARENT}-ff", f"00-{TRACE}-{new_id(8)}-01"),
        (f"cc-{TRACE}-{PARENT}-01", f"00-{TRACE}-{new_id(8)}-01"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-has", f"00-{TRACE}-{new_id(8)}-01"),
    ],
)
def test_a_trace_goes_on(sent: str, goes_on: str) -> None:
    assert child_of(sent, new_id) == goes_on


@pytest.mark.shows("E75")
@pytest.mark.parametrize(
    "sent",
    [
        "x",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
    ],
)
def test_what_makes_no_sense_begins_a_trace_of_its_own(sent: str) -> None:
    assert child_of(sent, new_id) == f"00-{new_id(16)}-{new_id(8)}-00"


@given(st.text())
def test_whatever_comes_what_goes_on_is_well_formed(sent: str) -> None:
    """Nothing of a hostile header gets into ours."""
    version, trace, parent, flags = child_of(sent, new_id).split("-")
    assert (version, len(trace), parent, flags in ("00", "01")) == ("00", 32, new_id(8), True)
