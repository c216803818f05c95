"""`extauthz serve` with two workers as real processes: one service, whatever happens to one of them."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

import cases
from extauthz.cli.processes import free_ports, port_in_use
from support.serving import Service, ask, get, is_running, loopback, status, wait_until, write_files
from support.stub_server import StubServer

DRAIN_SECONDS = 6
"""Time enough to ask a few times, also for a machine that stands still now and then."""

DECISIONS = re.compile(r"^extauthz_decisions_total\{[^}]*\} ([0-9.]+)$", re.MULTILINE)

TIMES = re.compile(r"^extauthz_check_seconds_count\{[^}]*\} ([0-9.]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer(cases.ANSWERS) as server:
        yield server


class Pair:
    """A service of two workers."""

    def __init__(self, config: Path, gateway: int, ops: int) -> None:
        self.config = config
        self.gateway = gateway
        self.ops = ops
        self.service = Service(config, "--workers", "2")

    def workers(self) -> set[int]:
        return self.service.workers()

    def kill_one(self) -> set[int]:
        """Kill the worker with the lowest number; returns the others once it is gone."""
        workers = self.workers()
        pid = min(workers)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
        return workers - {pid}

    def wait_for_starts(self, count: int) -> None:
        wait_until(lambda: self.starts() == count)

    def starts(self) -> int:
        """How many workers have said that they are ready."""
        return self.service.stderr.count('"event": "ready"') + self.service.stderr.count('"event":"ready"')

    def restarts(self) -> int:
        """How often the operator was told of one that ended."""
        return self.service.stderr.count("a worker ended and is started again")

    def decisions(self) -> float:
        """All of them on the metrics page, whichever worker answers."""
        return sum(map(float, DECISIONS.findall(get(self.ops, "/metrics").text)))

    def all_decisions(self) -> float:
        """The same with the latest: a worker tells its own when it is asked for the page, and of so many each is asked."""
        return max(self.decisions() for _ in range(30))

    def ask(self, count: int) -> set[int]:
        """The statuses of so many requests, each over a connection of its own."""
        return {ask(self.gateway) for _ in range(count)}


@contextmanager
def started(folder: Path, server: StubServer) -> Iterator[Pair]:
    gateway, ops = free_ports(2)
    pair = Pair(write_files(folder, loopback(gateway, ops), server.url, drain_delay=f"{DRAIN_SECONDS}s"), gateway, ops)
    with pair.service.ready(ops):
        pair.wait_for_starts(2)
        assert len(pair.workers()) == 2
        yield pair


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, server: StubServer) -> Iterator[Pair]:
    with started(tmp_path_factory.mktemp("pair"), server) as pair:
        yield pair


class TestServing:
    """Two processes behind one address; whoever breaks one of them waits for its successor."""

    @pytest.fixture
    def pair(self, lasting: Pair) -> Pair:
        return lasting

    def test_each_of_them_answers(self, pair: Pair) -> None:
        """One that is killed is replaced; meanwhile the other one serves, and the operator is told."""
        restarts, starts = pair.restarts(), pair.starts()
        for more in (1, 2):
            others = pair.kill_one()
            assert pair.ask(10) == {200}
            assert status(pair.ops, "/readyz") == 200
            pair.wait_for_starts(starts + more)
            assert len(pair.workers()) == len(others) + 1
            assert pair.workers() > others
        assert pair.restarts() == restarts + 2

    def test_metrics_are_those_of_all(self, pair: Pair) -> None:
        """Each page shows the sum, those of a worker that died included."""
        before, starts = pair.all_decisions(), pair.starts()
        assert pair.ask(20) == {200}
        wait_until(lambda: pair.decisions() == before + 20)
        pair.kill_one()
        assert pair.ask(20) == {200}
        wait_until(lambda: pair.decisions() == before + 40)
        pair.wait_for_starts(starts + 1)
        assert {pair.decisions() for _ in range(10)} == {before + 40}
        page = get(pair.ops, "/metrics").text
        assert sum(map(float, TIMES.findall(page))) == before + 40
        for state in (
            "build_info{version=",
            "audit_writable ",
            "reload_good ",
            'circuit_open{server="main"} 0',
            "checks_waiting ",
        ):
            (line,) = [line for line in page.splitlines() if line.startswith(f"extauthz_{state}")]
            assert line.endswith(" 0.0" if "circuit" in line or "waiting" in line else " 1.0"), (
                "one for all, not one for each"
            )

    def test_a_new_policy_takes_effect_in_each_of_them(self, pair: Pair) -> None:
        """SIGHUP is handed on."""
        policy = pair.config.with_name("policy.yaml")
        good = policy.read_text()
        for text, answer in ((good.replace("scopes: [orders:read]", "scopes: [orders:other]"), 403), (good, 200)):
            reloads = pair.service.stderr.count("policy_reloaded")
            policy.write_text(text)
            pair.service.send(signal.SIGHUP)
            wait_until(partial(lambda before: pair.service.stderr.count("policy_reloaded") == before + 2, reloads))
            assert pair.ask(20) == {answer}

    def test_the_log_level_changes_in_each_of_them(self, pair: Pair) -> None:
        """By a signal to the supervisor; what changes little is told when it is asked for."""
        for number, level in ((signal.SIGUSR1, "debug"), (signal.SIGUSR2, "info")):
            pair.service.send(number)
            changed = f'"to": "{level}", "event": "log level changed"'
            wait_until(partial(lambda line: pair.service.stderr.count(line) == 1 + 2, changed))
        assert len(pair.workers()) == 2

    def test_one_that_cannot_start_is_tried_again_at_leisure(self, pair: Pair) -> None:
        """Once a second; and it comes back when the file is good again."""
        policy = pair.config.with_name("policy.yaml")
        good, restarts, starts = policy.read_text(), pair.restarts(), pair.starts()
        policy.write_text("nonsense: true\n")
        begun = time.monotonic()
        pair.kill_one()
        time.sleep(3.5)
        assert 1 <= pair.restarts() - restarts <= 1 + (time.monotonic() - begun)
        assert pair.ask(5) == {200}
        policy.write_text(good)
        pair.wait_for_starts(starts + 1)


class TestStopping:
    """None of them is left behind."""

    @pytest.fixture
    def pair(self, tmp_path: Path, server: StubServer) -> Iterator[Pair]:
        with started(tmp_path, server) as pair:
            yield pair

    def test_sigterm_drains_and_stops_all(self, pair: Pair) -> None:
        """Requests are answered until the delay is over; the folder with the numbers goes too."""
        workers = pair.workers()
        environment = Path(f"/proc/{min(workers)}/environ").read_bytes().decode()
        numbers = Path(environment.split("PROMETHEUS_MULTIPROC_DIR=")[1].split("\0")[0])
        assert numbers.is_dir()
        told = time.monotonic()
        pair.service.send(signal.SIGTERM)
        wait_until(lambda: {status(pair.ops, "/readyz") for _ in range(10)} == {503})
        assert pair.ask(5) == {200}
        assert pair.service.wait() == 0
        assert time.monotonic() - told >= DRAIN_SECONDS
        assert not any(map(is_running, workers))
        assert not numbers.exists()
        assert not any(map(port_in_use, (pair.gateway, pair.ops)))
        assert "Traceback" not in pair.service.stderr

    def test_workers_end_when_their_supervisor_is_killed(self, pair: Pair) -> None:
        """Nobody would replace or stop them any more; they drain first."""
        workers = pair.workers()
        pair.service.send(signal.SIGKILL)
        pair.service.wait()
        assert pair.ask(3) == {200}
        wait_until(lambda: not any(map(is_running, workers)))
        wait_until(lambda: not any(map(port_in_use, (pair.gateway, pair.ops))))

    def test_sigterm_while_one_is_being_replaced_stops_all(self, pair: Pair) -> None:
        """No worker is started after the end was asked for."""
        pair.kill_one()
        pair.service.send(signal.SIGTERM)
        assert pair.service.wait() == 0
        assert not any(map(port_in_use, (pair.gateway, pair.ops)))
