"""Parts are killed while requests go through a real Envoy: no wrong allow, no 401 for a good token, no restart needed.

Good tokens are asked for in turn, so that some are in the cache and some are not; one token is revoked from the start.
"""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.envoy import envoy
from support.http1 import exchange
from support.load import Seen, under_load
from support.own_server import OwnServer
from support.redis_server import RedisServer
from support.running import Running, running
from support.serving import wait_until

GOOD, REVOKED = "good", "revoked"
RECOVERY_ATTEMPTS = 100
TTL_SECONDS = 0.3
"""Of an active answer, and so the published bound on how old one may be."""


@dataclass(kw_only=True)
class Scene:
    """An authorization server, extauthz with two workers, a short cache and a shared one, and Envoy."""

    server: OwnServer
    redis: RedisServer
    service: Running
    gateway: int
    revoked: str
    late: str
    good: list[str] = field(repr=False)

    def askers(self) -> list[Callable[[], tuple[str, int]]]:
        """Three that ask with good tokens, one that asks with the revoked one."""
        tokens = itertools.cycle(self.good)
        return [*[lambda: (GOOD, self.ask(next(tokens)))] * 3, lambda: (REVOKED, self.ask(self.revoked))]

    def workers(self) -> set[int]:
        """Process ids."""
        pid = self.service.process.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def ask(self, token: str) -> int:
        """The status of a request with this token."""
        headers = [("Host", "api.example.com"), ("Authorization", f"Bearer {token}")]
        return exchange(self.gateway, "GET", "/orders/1", headers)[0]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "keys").write_text("ab" * 32)
    with OwnServer(tmp_path) as server, RedisServer(tmp_path) as redis:
        *good, revoked, late = server.issue(*(f"u{number}" for number in range(100)))
        server.revoke(revoked)
        with (
            running(
                tmp_path,
                introspection=server.introspection_endpoint,
                extra=f"workers: 2\nshared_cache: {{redis: {redis.url}, keys: {{file: keys}}}}",
                cache=f"{{ttl: {TTL_SECONDS * 1000:.0f}ms, negative_ttl: 100ms}}",
            ) as service,
            envoy(tmp_path, service.gateway) as gateway,
        ):
            yield Scene(
                server=server,
                redis=redis,
                service=service,
                gateway=gateway,
                revoked=revoked,
                late=late,
                good=good,
            )


def statuses(seen: Seen[tuple[str, int]], phase: str, kind: str) -> set[int]:
    return {status for asked, status in seen.during(phase) if asked == kind}


def no_answer_was_wrong(seen: Seen[tuple[str, int]]) -> None:
    """In no phase: a good token is let through or told to come back, a revoked one is never let through."""
    for phase in seen.answers:
        assert statuses(seen, phase, GOOD) <= {200, 503}, seen.answers
        assert statuses(seen, phase, REVOKED) <= {401, 503}, seen.answers


def until_all_is_well(seen: Seen[tuple[str, int]]) -> None:
    """Go on until answers are as they were before."""
    for attempt in range(RECOVERY_ATTEMPTS):
        seen.phase = f"recovering {attempt}"
        seen.wait_for(20)
        if statuses(seen, seen.phase, GOOD) == {200} and statuses(seen, seen.phase, REVOKED) == {401}:
            return
    raise AssertionError(seen.answers)


@pytest.mark.shows("S25", "S26")
def test_the_authorization_server_is_killed(scene: Scene) -> None:
    """503 while it is away, never 401; answers again when it is back."""
    with under_load(*scene.askers()) as seen:
        seen.wait_for(100)
        scene.server.kill()
        seen.phase = "away"
        seen.wait_for(50)
        wait_until(lambda: 503 in statuses(seen, "away", GOOD))
        scene.server.start()
        until_all_is_well(seen)
    no_answer_was_wrong(seen)


def test_a_worker_is_killed(scene: Scene) -> None:
    """The other one goes on, a new one is started, and nothing is answered wrongly meanwhile."""
    with under_load(*scene.askers()) as seen:
        seen.wait_for(100)
        workers = scene.workers()
        os.kill(min(workers), signal.SIGKILL)
        seen.phase = "one less"
        seen.wait_for(50)
        wait_until(lambda: len(scene.workers() - workers) == 1)
        until_all_is_well(seen)
    no_answer_was_wrong(seen)


@pytest.mark.parametrize("trouble", ["killed", "paused"])
def test_redis_is_killed_or_hangs(scene: Scene, trouble: str) -> None:
    """Nobody notices: not one request fails for it, and a revocation is seen within the bound all the same."""
    assert {scene.ask(scene.late) for _ in range(10)} == {200}
    with under_load(*scene.askers()) as seen:
        seen.wait_for(100)
        seen.phase = trouble
        if trouble == "killed":
            scene.redis.kill()
        else:
            scene.redis.pause()
        seen.wait_for(100)
        scene.server.revoke(scene.late)
        time.sleep(2 * TTL_SECONDS)
        assert {scene.ask(scene.late) for _ in range(10)} == {401}
        if trouble == "killed":
            scene.redis.start()
        else:
            scene.redis.resume()
        until_all_is_well(seen)
        assert {scene.ask(scene.late) for _ in range(10)} == {401}
    no_answer_was_wrong(seen)
