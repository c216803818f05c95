"""The introspection client as a library: what its user sees, against servers that run."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extauthz import Active, Inactive, TokenClient, Unavailable
from extauthz.cli.processes import free_ports
from extauthz.core.decision import Reason
from extauthz.testing import RecordingObserver
from support.own_server import OwnServer
from support.stub_server import ISSUER, SECRET, Reply, StubServer, active

EXAMPLE = Path(__file__).parents[2] / "examples" / "introspect.py"


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer({"good": active, "other-issuer": lambda: active(iss="https://evil.example.com")}) as server:
        yield server


def client(stub: StubServer) -> TokenClient:
    return TokenClient(
        introspection_endpoint=stub.url, client_id="orders", client_secret="s", issuer=ISSUER, timeout="10s"
    )


async def test_one_question_serves_all_who_ask_and_those_who_ask_later(stub: StubServer) -> None:
    """Coalesced, then remembered; `max_age` and `forget` ask anew."""
    async with client(stub) as tokens:
        states = await asyncio.gather(*(tokens.introspect("good") for _ in range(20)))
        assert {type(state) for state in states} == {Active}
        await tokens.introspect("good")
        assert stub.calls["good"] == 1
        await tokens.introspect("good", max_age=0)
        assert stub.calls["good"] == 2
        tokens.forget("good")
        await tokens.introspect("good")
        assert stub.calls["good"] == 3


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("unknown", Reason.INACTIVE),
        ("other-issuer", Reason.WRONG_ISSUER),
        ("two words", Reason.MALFORMED_CREDENTIALS),
        ("", Reason.MALFORMED_CREDENTIALS),
        ("a\nb", Reason.MALFORMED_CREDENTIALS),
    ],
)
async def test_what_is_no_token_of_the_server_is_inactive(stub: StubServer, token: str, reason: Reason) -> None:
    """What cannot be a token at all is not asked about."""
    async with client(stub) as tokens:
        assert await tokens.introspect(token) == Inactive(reason=reason, cacheable=True)
    assert stub.calls.keys() <= {"unknown", "other-issuer"}


async def test_trouble_is_a_value_and_is_told_to_who_observes() -> None:
    """Nobody listens at the endpoint."""
    observer = RecordingObserver()
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}/introspect"
    async with TokenClient(
        introspection_endpoint=endpoint, client_id="orders", client_secret="s", observer=observer
    ) as tokens:
        state = await tokens.introspect("good")
    assert isinstance(state, Unavailable)
    assert [event.outcome for event in observer.introspections] == ["server_unreachable"]


async def test_an_issuer_is_enough() -> None:
    """Where it is asked is found out at the first question, and that waits for it."""
    (port,) = free_ports(1)
    issuer = f"http://127.0.0.1:{port}"
    with StubServer({"good": lambda: active(iss=issuer)}, port=port) as stub:
        members = {"issuer": issuer, "introspection_endpoint": stub.url}
        stub.documents["/.well-known/oauth-authorization-server"] = lambda: Reply(body=json.dumps(members).encode())
        arguments: dict[str, Any] = {"discovery": True, "timeout": "10s"}
        async with TokenClient(issuer=issuer, client_id="orders", client_secret="s", **arguments) as tokens:
            states = await asyncio.gather(tokens.introspect("good"), tokens.introspect("good", max_age=0))
            assert isinstance(states[0], Active)
            assert isinstance(await tokens.introspect("good"), Active)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "introspection_endpoint"),
        ({"introspection_endpoint": "http://as.example.com/introspect"}, "use https"),
        ({"introspection_endpoint": "https://as.example.com/introspect", "banana": 1}, "banana"),
        ({"introspection_endpoint": "https://as.example.com/introspect", "cache": {"ttl": 5}}, "unit"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, object], words: str) -> None:
    """And the secret is not."""
    with pytest.raises(ValueError, match=words) as caught:
        TokenClient(client_id="orders", client_secret="canary", **arguments)  # type: ignore[arg-type] # wrong on purpose
    assert "canary" not in str(caught.value)


def test_the_example_runs(tmp_path: Path) -> None:
    """Against our own authorization server, as its first lines say."""
    with OwnServer(tmp_path) as server:
        (token,) = server.issue("alice")
        command = [sys.executable, str(EXAMPLE), server.introspection_endpoint, "gateway"]
        environment = {**os.environ, "CLIENT_SECRET": SECRET}
        good, bad = (
            subprocess.run(
                command, input=text, env=environment, capture_output=True, text=True, timeout=90, check=False
            )
            for text in (token, "unknown")
        )
    assert (good.returncode, good.stdout) == (0, "alice may orders:read\n"), good.stderr
    assert (bad.returncode, bad.stdout) == (1, "refused: inactive\n"), bad.stderr
