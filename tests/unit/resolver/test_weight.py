"""The estimate of what an entry weighs is near what it weighs."""

import json
import tracemalloc

import pytest

from extauthz.core.introspection import Answer, Inactive, TokenState, read_answer
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.weight import ENTRY_BYTES, weigh
from extauthz.testing import TickingClock

COUNT = 2000
PLAIN = {"active": True, "scope": "orders:read orders:write openid", "client_id": "app", "exp": 1_700_000_300, "iat": 1}
RICH = PLAIN | {
    "email": "someone@example.com",
    "realm_access": {"roles": ["reader", "writer", "offline_access"]},
    "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
    "sid": "5ef7f6d4-4d2a-4c5a-9d2c-6a0a7b1c2d3e",
}


def read(members: dict[str, object], number: int) -> TokenState:
    """A state as it comes from an answer: no two share their parts."""
    own = {"sub": f"user-{number:032d}", "jti": f"{number:036d}", "scope": f"{members['scope']} item:{number}"}
    body = json.dumps(members | own).encode()
    return read_answer(Answer(status=200, content_type="application/json", body=body), issuer=None, answers_others=True)


@pytest.mark.parametrize("members", [PLAIN, RICH])
def test_an_active_answer_weighs_what_is_estimated(members: dict[str, object]) -> None:
    """Or a third less: the bound on bytes is kept."""
    clock = TickingClock(1_700_000_000.0)
    settings = ServerSettings(name="main", introspection_endpoint="https://x", client_id="g")
    cache = TokenCache(settings, secret=b"k", monotonic=clock, wall=clock)
    tracemalloc.start()
    try:
        for number in range(COUNT):
            cache.put(cache.key(Token(f"token-{number}")), read(members, number), clock())
        weight = tracemalloc.get_traced_memory()[0] / COUNT
    finally:
        tracemalloc.stop()
    assert 0.6 < weight / weigh(read(members, 0)) < 1.05


def test_text_counts() -> None:
    """A longer answer weighs more, in whichever member."""
    plain = weigh(read(PLAIN, 0))
    assert plain > weigh(Inactive()) == ENTRY_BYTES
    for member in ("scope", "client_id", "email", "aud", "iss", "username"):
        assert weigh(read(PLAIN | {member: "x" * 5000}, 0)) > plain + 4000
