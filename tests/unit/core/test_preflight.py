"""What is a CORS preflight (Fetch §4.8), and what only looks like one."""

import pytest

from extauthz.core.preflight import announced_method

PAGE = ["https://app.example.com"]


@pytest.mark.shows("S60", "E43", "N65")
@pytest.mark.parametrize(
    ("method", "origins", "requested", "announced"),
    [
        ("OPTIONS", PAGE, ["POST"], "POST"),
        ("OPTIONS", ["null"], ["GET"], "GET"),
        ("OPTIONS", PAGE, ["PATCH"], "PATCH"),
        ("GET", PAGE, ["POST"], ""),
        ("POST", PAGE, ["POST"], ""),
        ("options", PAGE, ["POST"], ""),
        ("OPTIONS", [], ["POST"], ""),
        ("OPTIONS", [""], ["POST"], ""),
        ("OPTIONS", PAGE, [], ""),
        ("OPTIONS", PAGE, [""], ""),
        ("OPTIONS", PAGE, ["post"], ""),
        ("OPTIONS", PAGE, ["POST,GET"], ""),
        ("OPTIONS", PAGE, ["POST", "GET"], ""),
        ("OPTIONS", [*PAGE, *PAGE], ["POST"], ""),
    ],
)
def test_only_a_real_preflight_announces_a_method(
    method: str, origins: list[str], requested: list[str], announced: str
) -> None:
    """OPTIONS alone is none, nor is any other method with its headers."""
    assert announced_method(method, origins, requested) == announced
