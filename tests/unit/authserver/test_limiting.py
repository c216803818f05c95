"""Counting alone and together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.authserver import limiting
from extauthz.authserver.limiting import REDIS_PAUSE_SECONDS, MemoryCounts, RedisCounts
from support.certificates import Authority
from support.redis_server import RedisServer, Tls

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    now = 60.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need longer; one that is gone refuses at once."""
    monkeypatch.setattr(limiting, "REDIS_SECONDS", 40.0)


async def test_below_is_told_without_counting() -> None:
    """Asking whether a limit is reached counts nothing; a hit beyond the limit counts nothing either."""
    counts = MemoryCounts(Clock())
    assert all([await counts.is_below("k", "a", 1) for _ in range(3)])
    assert [await counts.hit("k", "a", 1), await counts.hit("k", "a", 1)] == [True, False]
    assert not await counts.is_below("k", "a", 1)
    assert await counts.is_below("k", "b", 1)
    assert await counts.is_below("other", "a", 1)


async def test_processes_count_together_in_redis_and_alone_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes share their counts by Redis; while it is gone each counts alone, and says so once."""
    clock = Clock()
    with RedisServer(tmp_path, password="geheim") as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        one, two = (RedisCounts(url, clock, password="geheim") for _ in range(2))
        assert [await one.hit("k", "a", 2), await two.hit("k", "a", 2), await one.hit("k", "a", 2)] == [
            True,
            True,
            False,
        ]
        assert not await two.is_below("k", "a", 2)
    clock.now += REDIS_PAUSE_SECONDS
    assert [await one.hit("k", "a", 2) for _ in range(3)] == [True, True, False]
    assert await two.is_below("k", "a", 2)
    told = [record.getMessage() for record in caplog.records if "counts alone" in record.getMessage()]
    assert len(told) == 2
    assert "geheim" not in caplog.text


async def test_processes_add_up_what_they_saw_within_a_minute(tmp_path: Path) -> None:
    """Of the minute before, what still lies within; one of them is the first, once in a minute; without Redis neither."""
    wall = Clock()
    with RedisServer(tmp_path) as server:
        one, two = (RedisCounts(server.url, Clock(), wall_clock=wall) for _ in range(2))
        assert [await one.tally("k", "a", 3), await two.tally("k", "a", 2), await two.tally("k", "b", 1)] == [3, 5, 1]
        wall.now += 75
        assert await one.tally("k", "a", 1) == 1 + 5 * 0.75
        wall.now += 120
        assert await one.tally("k", "a", 1) == 1
        assert [await one.claim("k", "a"), await two.claim("k", "a"), await two.claim("k", "b")] == [True, False, True]
        kept = {name: server.raw("TTL", name) for name in server.keys()}  # noqa: SIM118 - not a dictionary
        assert kept
        assert all(0 < seconds <= 120 for seconds in kept.values())
    for each in (one, two):
        assert await each.tally("k", "a", 1) is None
        assert await each.claim("k", "a") is None


@pytest.mark.parametrize(("trusted", "allowed"), [(True, 1), (False, 2)])
async def test_redis_over_tls_is_trusted_by_its_authority(tmp_path: Path, *, trusted: bool, allowed: int) -> None:
    """With the authority that signed its certificate two processes count together, with another one each alone."""
    authority = Authority(tmp_path)
    ca = (authority if trusted else Authority(tmp_path, "another authority")).path
    with RedisServer(tmp_path, tls=Tls(authority=authority, server=authority.issue("redis"))) as server:
        one, two = (RedisCounts(server.url, Clock(), ca=ca) for _ in range(2))
        assert sum([await one.hit("k", "a", 1), await two.hit("k", "a", 1)]) == allowed
    assert [await one.hit("k", "b", 1), await two.hit("k", "b", 1)] == [True, True]  # alone: the connections are gone
