"""Ten thousand routes are reloaded while requests go through a real Envoy: no answer is wrong, and none is lost.

Two policies in turn: one path is open to a token in both, one in neither, and one in the second alone. Two workers.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cases import ANSWERS
from support.envoy import envoy
from support.http1 import exchange
from support.load import Seen, under_load
from support.running import Running, running
from support.stub_server import StubServer

OPEN, CLOSED, OPENED = "/always/1", "/never/1", "/changes/1"
ROUTES = 10_000
OPS_TOKEN = "the-token-of-the-operator"
RELOAD_SECONDS = 200.0


def policy(*, second: bool, many: int = ROUTES, version: int = 1) -> str:
    """JSON, which is YAML; the order of the routes and their number differ too."""
    special = {OPEN: "orders:read", CLOSED: "orders:none", OPENED: "orders:read" if second else "orders:none"}
    routes = [
        {"name": f"r{number}", "path": f"/r{number}/{{id}}/x", "methods": ["GET"], "scopes": [f"s{number % 50}:read"]}
        for number in range(int(second), many)
    ]
    routes += [{"name": path.split("/")[1], "path": path, "scopes": [scope]} for path, scope in special.items()]
    routes.append({"name": "health", "path": "/healthz", "allow": "anonymous"})
    return json.dumps({"version": version, "routes": routes[::-1] if second else routes})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """extauthz with the first policy, and Envoy before it."""

    service: Running
    gateway: int

    def asker(self, path: str) -> Callable[[], tuple[str, int]]:
        headers = [("Host", "api.example.com"), ("Authorization", "Bearer reader")]
        return lambda: (path, exchange(self.gateway, "GET", path, headers)[0])

    def reload(self, text: str) -> dict[str, Any]:
        """Put a policy in place of the other, and have it read; what every worker did."""
        new = self.service.folder / "policy.new"
        new.write_text(text)
        new.rename(self.service.folder / "policy.yaml")
        headers = {"Authorization": f"Bearer {OPS_TOKEN}"}
        url = f"http://127.0.0.1:{self.service.ops}/reload"
        request = urllib.request.Request(url, method="POST", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=RELOAD_SECONDS) as answer:  # noqa: S310 - likewise
                said: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                said = json.load(refused)
        return said


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "token").write_text(OPS_TOKEN)
    extra = "workers: 2\nops: {token: {file: token}}\nreload: {watch: false}"
    with (
        StubServer(ANSWERS) as stub,
        running(tmp_path, introspection=stub.url, policy=policy(second=False, many=1), extra=extra) as service,
        envoy(tmp_path, service.gateway) as gateway,
    ):
        yield Scene(service=service, gateway=gateway)


def statuses(seen: Seen[tuple[str, int]], phase: str, path: str) -> set[int]:
    return {status for asked, status in seen.during(phase) if asked == path}


@pytest.mark.timeout(400)
def test_no_answer_is_wrong_and_none_is_lost(scene: Scene) -> None:
    """Each is that of the one policy or of the other; once the reload is answered, of the new one alone."""
    assert scene.reload(policy(second=False))["result"] == "reloaded"
    askers = [scene.asker(path) for path in (OPEN, CLOSED, OPENED)]
    with under_load(*askers) as seen:
        seen.wait_for(100)
        seen.phase = "reloading"
        said = scene.reload(policy(second=True))
        seen.phase = "reloaded"
        assert [each["routes"] for each in said["workers"]] == [ROUTES + len(askers)] * 2, said
        seen.wait_for(100)
        seen.phase = "refusing"
        refused = scene.reload(policy(second=False, many=1, version=7))
        assert refused["result"] == "refused"
        seen.wait_for(100)
    for phase in seen.answers:
        assert statuses(seen, phase, OPEN) == {200}, seen.answers
        assert statuses(seen, phase, CLOSED) == {403}, seen.answers
    assert statuses(seen, "before", OPENED) == {403}
    assert statuses(seen, "reloading", OPENED) <= {403, 200}
    assert statuses(seen, "refusing", OPENED) == {200}
    late = {answer: count for answer, count in seen.during("reloaded").items() if answer == (OPENED, 403)}
    assert not late, late
