"""New files in a running service of two workers, mounted as Kubernetes does: noticed, asked for, refused."""

import itertools
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import cases
from extauthz.cli.processes import free_ports
from support.serving import Service, ask, get, loopback, wait_until, write_files
from support.stub_server import StubServer

TOKEN = "the-operator's-first-token"
DONE = ("reloaded", "unchanged")
"""What an answer says when the files are in force: the watch may have been faster than whoever asks."""

OPEN, CLOSED = "scopes: [orders:read]", "scopes: [orders:other]"


@dataclass
class Scene:
    """A service whose two files are links to a folder that is swapped."""

    folder: Path
    gateway: int
    ops: int
    service: Service
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))

    @property
    def policy(self) -> Path:
        """The file itself, behind all links."""
        return (self.folder / "policy.yaml").resolve()

    def swap(self, **contents: str) -> None:
        """Put another version of the files in place, whole."""
        current, new = (self.folder / "..data").resolve(), self.folder / f"..v{next(self._versions)}"
        new.mkdir()
        for file in current.iterdir():
            (new / file.name).write_text(contents.get(file.stem, file.read_text()))
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")

    def config(self) -> dict[int, dict[str, Any]]:
        """What each worker says is in force, by its process id."""
        found: dict[int, dict[str, Any]] = {}

        def both() -> bool:
            said = json.loads(get(self.ops, "/config").text)
            found[said["worker"]] = said
            return len(found) == 2

        wait_until(both)
        return found

    def generations(self) -> set[int]:
        return {each["policy"]["generation"] for each in self.config().values()}

    def wait_for(self, generation: int) -> None:
        wait_until(lambda: self.generations() == {generation})

    def answers(self) -> set[int]:
        return {ask(self.gateway) for _ in range(10)}

    def reload(self) -> tuple[int, Any]:
        """Ask for it; status and what was answered."""
        status, text = self._post("/reload", TOKEN)
        return status, json.loads(text)

    def everywhere(self, status: int, token: str = TOKEN) -> bool:
        """Whether every worker admits it so: each reads the file for itself, and a connection finds one by chance."""
        return all(self._post("/log", token, b"configured")[0] == status for _ in range(20))

    def _post(self, path: str, token: str, body: bytes = b"") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ops}{path}", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - a URL of ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def reloads(self, result: str) -> float:
        """How many of all workers ended so."""
        lines = get(self.ops, "/metrics").text.splitlines()
        (count,) = [line for line in lines if line.startswith(f'extauthz_reloads_total{{result="{result}"}}')]
        return float(count.rpartition(" ")[2])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("reload")
    gateway, ops = free_ports(2)
    (folder / "..v1").mkdir()
    (folder / "token").write_text(TOKEN)
    with StubServer(cases.ANSWERS) as server:
        write_files(
            folder / "..v1",
            loopback(gateway, ops),
            server.url,
            ops={"token": {"file": "token"}},
            audit={"path": str(folder / "audit.jsonl")},
            workers=2,
        )
        (folder / "..data").symlink_to("..v1")
        for name in ("extauthz.yaml", "policy.yaml"):
            (folder / name).symlink_to(f"..data/{name}")
        service = Service(folder / "extauthz.yaml")
        with service.ready(ops):
            wait_until(lambda: service.stderr.count('"ready"') == 2)
            yield Scene(folder=folder, gateway=gateway, ops=ops, service=service)


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    """With the policy as it was at first, before and after."""
    yield running
    settings = yaml.safe_load((running.folder / "..v1" / "extauthz.yaml").read_text())
    running.swap(policy=cases.POLICY, extauthz=yaml.safe_dump(settings))
    (running.folder / "token").write_text(TOKEN)
    wait_until(lambda: running.everywhere(200))
    wait_until(lambda: running.reload()[1]["result"] in DONE)
    assert running.answers() == {200}


class TestNoticed:
    """Files that change are read, without a word from anybody."""

    def test_written_anew(self, scene: Scene) -> None:
        """In place, by whatever writes it."""
        (before,) = scene.generations()
        scene.policy.write_text(cases.POLICY.replace(OPEN, CLOSED))
        scene.wait_for(before + 1)
        assert scene.answers() == {403}

    def test_renamed_over(self, scene: Scene) -> None:
        """As most editors do."""
        (before,) = scene.generations()
        new = scene.policy.with_name(".policy.yaml.new")
        new.write_text(cases.POLICY.replace(OPEN, CLOSED))
        new.rename(scene.policy)
        scene.wait_for(before + 1)
        assert scene.answers() == {403}

    def test_a_config_map_is_swapped(self, scene: Scene) -> None:
        """The link `..data`, and with it both files at once."""
        (before,) = scene.generations()
        scene.swap(policy=cases.POLICY.replace(OPEN, CLOSED))
        scene.wait_for(before + 1)
        assert scene.answers() == {403}

    def test_a_file_that_would_be_included_appears(self, scene: Scene) -> None:
        """Its folder is watched too."""
        (before,) = scene.generations()
        more = scene.folder / "more"
        more.mkdir(exist_ok=True)
        route = "version: 1\nroutes: [{{name: more-{0}, path: /more/{0}, scopes: []}}]\n"
        (more / "a.yaml").write_text(route.format("a"))
        scene.policy.write_text(f"{cases.POLICY}\ninclude: [more/*.yaml]\n")
        scene.wait_for(before + 1)
        routes = {each["policy"]["routes"] for each in scene.config().values()}
        (more / "b.yaml").write_text(route.format("b"))
        scene.wait_for(before + 2)
        assert {each["policy"]["routes"] - 1 for each in scene.config().values()} == routes

    def test_half_a_file_changes_nothing(self, scene: Scene) -> None:
        """Whoever writes slowly gets a refusal at worst, and the whole file is in force in the end."""
        (before,) = scene.generations()
        text = cases.POLICY.replace(OPEN, CLOSED)
        with scene.policy.open("w") as file:
            file.write(text[: len(text) // 2] + "\n- {")
            file.flush()
            wait_until(lambda: all(each["reload"]["last_failure"] for each in scene.config().values()))
            assert (scene.answers(), scene.generations()) == ({200}, {before})
            file.seek(0)
            file.write(text)
            file.truncate()
        scene.wait_for(before + 1)
        assert scene.answers() == {403}

    def test_a_file_that_is_the_same_is_no_news(self, scene: Scene) -> None:
        """Whatever its times say."""
        before, unchanged = scene.generations(), scene.reloads("unchanged")
        os.utime(scene.policy)
        wait_until(lambda: scene.reloads("unchanged") >= unchanged + 2)
        assert scene.generations() == before


class TestAsked:
    """`POST /reload` says what every worker did."""

    @pytest.mark.shows("E74")
    def test_all_workers_reload(self, scene: Scene) -> None:
        """Whichever of them was asked; each says what it has now."""
        (before,) = scene.generations()
        scene.swap(policy=cases.POLICY.replace(OPEN, CLOSED))
        status, said = scene.reload()
        assert (status, said["result"] in DONE) == (200, True)
        assert {each["worker"] for each in said["workers"]} == set(scene.config())
        assert {each["generation"] for each in said["workers"]} == {before + 1}
        assert len({each["digest"] for each in said["workers"]}) == 1
        assert scene.answers() == {403}
        status, said = scene.reload()
        assert (status, said["result"]) == (200, "unchanged")

    def test_a_bad_file_is_told_and_changes_nothing(self, scene: Scene) -> None:
        """In the answer, at `/config`, in the log and in the metrics; each fault with its place."""
        (before,), refused = scene.generations(), scene.reloads("refused")
        scene.swap(policy=cases.POLICY.replace("version: 1", "version: 7"))
        status, said = scene.reload()
        assert (status, said["result"]) == (422, "refused")
        (fault,) = said["workers"][0]["faults"]
        assert (fault["file"], fault["line"]) == (str(scene.folder / "policy.yaml"), 2)
        assert (scene.answers(), scene.generations()) == ({200}, {before})
        for each in scene.config().values():
            assert each["reload"]["last_failure"]["faults"] == [fault]
        wait_until(lambda: scene.reloads("refused") >= refused + 2)
        assert f"{scene.folder / 'policy.yaml'}:2:" in scene.service.stderr

    def test_what_takes_a_restart_is_named_and_nothing_is_half_applied(self, scene: Scene) -> None:
        """The policy beside it does not change either."""
        settings = yaml.safe_load((scene.folder / "extauthz.yaml").read_text())
        scene.swap(
            policy=cases.POLICY.replace(OPEN, CLOSED),
            extauthz=yaml.safe_dump({**settings, "workers": 3, "dialects": ["nginx", "envoy"], "drain_delay": "1s"}),
        )
        status, said = scene.reload()
        assert (status, said["result"]) == (422, "refused")
        assert {tuple(each["restart"]) for each in said["workers"]} == {("workers", "dialects")}
        assert scene.answers() == {200}
        assert "takes a restart: workers, dialects" in scene.service.stderr

    def test_the_live_keys_are_applied(self, scene: Scene) -> None:
        """Another policy file, another form of the log."""
        settings = yaml.safe_load((scene.folder / "extauthz.yaml").read_text())
        (scene.folder / "other.yaml").write_text(cases.POLICY.replace(OPEN, CLOSED))
        scene.swap(extauthz=yaml.safe_dump({**settings, "policy": "other.yaml", "log": {"format": "console"}}))
        assert scene.reload()[1]["result"] in DONE
        assert scene.answers() == {403}
        assert {each["policy"]["file"] for each in scene.config().values()} == {str(scene.folder / "other.yaml")}
        assert "policy_reloaded " in scene.service.stderr  # no quotes around it: not JSON
        (scene.folder / "other.yaml").write_text(cases.POLICY)
        wait_until(lambda: scene.answers() == {200})

    def test_only_who_shows_the_token_of_now_may_ask(self, scene: Scene) -> None:
        """A new one counts within a second or two, without a restart."""
        assert scene.everywhere(401, "wrong")
        (scene.folder / "token").write_text("the-operator's-next-token")
        wait_until(lambda: scene.everywhere(200, "the-operator's-next-token"))
        wait_until(lambda: scene.everywhere(401))
        assert TOKEN not in scene.service.stderr


def test_a_worker_that_is_replaced_has_what_the_others_have(scene: Scene) -> None:
    """Also when it starts while the files are those of now."""
    scene.swap(policy=cases.POLICY.replace(OPEN, CLOSED))
    assert scene.reload()[1]["result"] in DONE
    before = set(scene.config())
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: min(before) not in scene.service.workers() and len(scene.service.workers()) == 2)
    started = time.monotonic()
    wait_until(lambda: len(set(scene.config()) - before) == 1 or time.monotonic() - started > 40)
    assert scene.answers() == {403}
    assert len({each["policy"]["digest"] for each in scene.config().values()}) == 1
