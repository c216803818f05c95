"""What `extauthz.yaml` says about a server becomes the layers through which it is asked."""

from pathlib import Path
from typing import Any

import pytest

from extauthz.app_ladder import introspector, limiter, shape, token_for_check
from extauthz.app_server import ServerParts
from extauthz.config.limits import InactiveLimit, Tokens
from extauthz.config.secret import Secret
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.core.token import Token
from extauthz.testing import RecordingObserver

CLOSED = "http://127.0.0.1:1/introspect"
"""Nobody listens there."""


def server(observer: RecordingObserver, **changes: object) -> ServerParts:
    """A server as it is described."""
    described: dict[str, Any] = {
        "introspection_endpoint": CLOSED,
        "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
        "retries": 0,
    }
    written = AuthorizationServer.model_validate(described | changes)
    return ServerParts("main", written, observer, secret=Secret("s3cret"), folder=Path())


@pytest.mark.parametrize(
    "batch",
    [{}, {"delay": "1ms"}, {"delay": "1ms", "endpoint": CLOSED}],
    ids=["single", "gathered", "batch endpoint"],
)
async def test_the_circuit_that_is_described_opens_in_every_arrangement(batch: dict[str, str]) -> None:
    """After two failures here, and it is told under the name of the server."""
    observer = RecordingObserver()
    described = server(observer, batch=batch, circuit={"failures": 2, "window": 2})
    asks = introspector(described, observer)
    try:
        states = [await asks.ask(Token(f"t{number}")) for number in range(3)]
    finally:
        await asks.close()
    assert [state.reason for state in states if isinstance(state, Unavailable)] == [
        Reason.SERVER_UNREACHABLE,
        Reason.SERVER_UNREACHABLE,
        Reason.SERVER_CIRCUIT_OPEN,
    ]
    assert [(event.what.value, event.subject) for event in observer.happenings] == [("circuit_opened", "main")]


async def test_a_pause_is_never_shorter_than_a_question_may_take() -> None:
    """A late answer to an earlier question must not pass for that of a probe."""
    observer = RecordingObserver()
    described = server(observer, timeout="20s", circuit={"failures": 1, "window": 1, "pause": "1s"})
    asks = introspector(described, observer)
    await asks.ask(Token("t"))
    state = await asks.ask(Token("t"))
    await asks.close()
    assert isinstance(state, Unavailable)
    assert 20 <= state.retry_after <= 25


def test_the_shape_of_tokens_is_the_one_that_is_described() -> None:
    """All four of its keys."""
    described = shape(Tokens(prefix="ory_at_", min_length=9, max_length=10, alphabet="hex"))
    fitting = [text for text in ("ory_at_0f", "ory_at_0", "ory_at_0f0f", "ory_at_xy") if described.fits(Token(text))]
    assert fitting == ["ory_at_0f"]
    assert shape(Tokens()).fits(Token("anything"))


def test_without_a_limit_nobody_is_limited() -> None:
    """It is off unless it is described."""
    off, on = limiter(None), limiter(InactiveLimit(burst=1))
    assert [off.take("192.0.2.1") for _ in range(3)] == [0.0] * 3
    assert [on.take("192.0.2.1") > 0 for _ in range(3)] == [False, True, True]


def test_the_token_of_the_self_check_is_nobodys() -> None:
    """It begins as the server's tokens do, and is another one every time."""
    first, second = token_for_check(Tokens(prefix="ory_at_")), token_for_check(Tokens())
    assert first.reveal().startswith("ory_at_")
    assert first != second
    assert len(second.reveal()) >= 43
