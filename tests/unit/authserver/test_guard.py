"""Limits before authentication, and the networks of clients, by a clock that is ticked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.authserver.client_auth import VERIFIED_ENTRIES, Presented, PresentedCertificate
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.guard import AT_ONCE, Guard, GuardRules, TooManyError
from extauthz.authserver.limiting import MemoryCounts
from extauthz.authserver.store.base import ClientRecord

if TYPE_CHECKING:
    from extauthz.authserver.client_auth import Credentials

HERE, THERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")
APP = ClientRecord(client_id="app")


def credentials(secret: str, client_id: str = "app") -> Credentials:
    return (Presented(client_id=client_id, secret=secret),)


class Prover:
    """Knows one secret and counts how often it had to compare."""

    def __init__(self, client: ClientRecord = APP) -> None:
        self.client = client
        self.right = "right"
        self.compared = 0
        self.together = self.most_together = 0

    async def __call__(self, presented: Credentials) -> ClientRecord:
        self.compared += 1
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        assert isinstance(presented, tuple)
        if presented[0].secret != self.right:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication failed")
        return self.client


async def knows_everybody(_presented: Credentials) -> ClientRecord:
    return ClientRecord(client_id="other")


class Clock:
    now = 60.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def guard(clock: Clock, **rules: Any) -> Guard:  # noqa: ANN401 - fields of GuardRules
    return Guard(replace(GuardRules(), **rules), MemoryCounts(clock))


async def fail(guard: Guard, prover: Prover, times: int, *, at: object = HERE, client_id: str = "app") -> None:
    for number in range(times):
        with pytest.raises(OAuthError, match="invalid_client"):
            await guard.authenticate(at, credentials(f"wrong {number}", client_id), prover)  # type: ignore[arg-type]


@pytest.mark.shows("S91")
async def test_after_failures_nothing_is_compared(clock: Clock) -> None:
    """An address that failed too often is refused before a secret is compared, until a minute has passed."""
    one, prover = guard(clock, failures_per_address=3), Prover()
    await fail(one, prover, 3)
    with pytest.raises(TooManyError) as refused:
        await one.authenticate(HERE, credentials("right"), prover)
    assert (prover.compared, refused.value.retry_after_seconds) == (3, 20)
    assert await one.authenticate(THERE, credentials("right"), prover) == APP
    clock.now += 120
    assert await one.authenticate(HERE, credentials("right"), prover) == APP


async def test_a_client_that_is_guessed_at_is_protected_from_everywhere(clock: Clock) -> None:
    """Failures of a client count together, whatever addresses they come from; other clients are not touched."""
    one, prover = guard(clock, failures_per_client=2), Prover()
    await fail(one, prover, 1, at=HERE)
    await fail(one, prover, 1, at=THERE)
    with pytest.raises(TooManyError):
        await one.authenticate(ip_address("203.0.113.1"), credentials("wrong"), prover)
    await fail(one, prover, 1, client_id="other")


async def test_strangers_do_not_lock_a_client_out(clock: Clock) -> None:
    """A secret that was right lately goes on being good while others guess, from the same address too."""
    one, prover = guard(clock, failures_per_client=2, failures_per_address=2), Prover()
    await one.authenticate(HERE, credentials("right"), prover)
    await fail(one, prover, 2, at=HERE)
    with pytest.raises(TooManyError):
        await one.authenticate(HERE, credentials("wrong"), prover)
    assert await one.authenticate(HERE, credentials("right"), prover) == APP


@pytest.mark.parametrize("kind", ["spellings", "addresses"])
async def test_nor_does_another_client_push_it_out_of_memory(clock: Clock, kind: str) -> None:
    """What one client proves takes one place, however it spells its secret and from wherever in its network it calls."""
    one, prover = guard(clock, failures_per_client=3), Prover()
    await one.authenticate(HERE, credentials("right"), prover)
    for number in range(VERIFIED_ENTRIES):
        many: tuple[str, Credentials] = (
            (
                "192.0.2.2",
                (Presented(client_id="other", secret="right"), Presented(client_id="other", secret=f"{number}")),
            )
            if kind == "spellings"
            else (f"2001:db8::{number:x}", PresentedCertificate(client_id="other", subject="CN=other"))
        )
        await one.authenticate(ip_address(many[0]), many[1], knows_everybody)
    await fail(one, prover, 3, at=THERE)
    assert await one.authenticate(HERE, credentials("right"), prover) == APP


async def test_what_is_used_is_remembered_longest(clock: Clock) -> None:
    """Whoever proves himself again and again is not forgotten for those who did it once."""
    one, prover = guard(clock, failures_per_client=3), Prover()
    for number in range(VERIFIED_ENTRIES):
        await one.authenticate(HERE, credentials("right"), prover)
        await one.authenticate(HERE, credentials(f"{number}", "other"), knows_everybody)
    await fail(one, prover, 3, at=THERE)
    assert await one.authenticate(HERE, credentials("right"), prover) == APP


async def test_a_secret_that_is_right_no_longer_is_throttled_like_any_wrong_one(clock: Clock) -> None:
    """Once it fails, what was right before a rotation has no privilege."""
    one, prover = guard(clock, failures_per_client=2), Prover()
    await one.authenticate(HERE, credentials("right"), prover)
    prover.right = "rotated"
    for _ in range(2):
        with pytest.raises(OAuthError):
            await one.authenticate(HERE, credentials("right"), prover)
    with pytest.raises(TooManyError):
        await one.authenticate(HERE, credentials("right"), prover)


async def test_attempts_together_do_not_pass_the_limit(clock: Clock) -> None:
    """Of many wrong secrets at the same time hardly more are compared than of as many one after the other."""
    one, prover = guard(clock, failures_per_address=10), Prover()
    attempts = [one.authenticate(HERE, credentials(f"wrong {number}"), prover) for number in range(200)]
    refused = [type(error) for error in await asyncio.gather(*attempts, return_exceptions=True)]
    assert refused.count(OAuthError) < 10 + AT_ONCE
    assert prover.most_together <= AT_ONCE < 10
    assert one._turnstiles == {}  # noqa: SLF001 - nothing is kept of addresses that are gone


async def test_a_client_calls_from_its_networks_alone(clock: Clock) -> None:
    """From elsewhere the right secret is refused in the words of a wrong one, and counts as a failure."""
    at_home = ClientRecord(client_id="app", networks=("192.0.2.0/24",))
    one, prover = guard(clock, failures_per_address=2), Prover(at_home)
    assert await one.authenticate(HERE, credentials("right"), prover) == at_home
    for address in (THERE, THERE):
        with pytest.raises(OAuthError, match="Client authentication failed"):
            await one.authenticate(address, credentials("right"), prover)
    with pytest.raises(TooManyError):
        await one.authenticate(THERE, credentials("right"), prover)


async def test_requests_are_limited_by_address_and_by_client(clock: Clock) -> None:
    """More requests than the limit are refused, right secrets or not."""
    one, prover = guard(clock, requests_per_address=2, requests_per_client=1), Prover()
    await one.admit(HERE)
    await one.admit(HERE)
    with pytest.raises(TooManyError):
        await one.admit(HERE)
    await one.authenticate(HERE, credentials("right"), prover)
    with pytest.raises(TooManyError):
        await one.authenticate(THERE, credentials("right"), prover)
