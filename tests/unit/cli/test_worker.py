"""A worker tells of a part of it that ends."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

import cases
from extauthz import app
from extauthz.cli import worker
from extauthz.cli.listeners import listening
from extauthz.config.load import load_service
from extauthz.config.values import Address
from support.idle_server import IdleServer

SERVER = {"introspection_endpoint": "http://127.0.0.1:1/", "client": {"id": "gateway", "secret": {"env": "S"}}}
SETTINGS = {
    "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
    "policy": "policy.yaml",
    "audit": {"path": "off"},
    "authorization_servers": {"main": SERVER},
}


async def test_a_self_check_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a check that was never made would look like one that has nothing to say."""

    async def dies(*_: object) -> None:
        raise RuntimeError("canary")

    stop: asyncio.Queue[int] = asyncio.Queue()
    monkeypatch.setattr(app, "self_check", dies)
    monkeypatch.setattr(worker, "_stop_signals", lambda: stop)
    monkeypatch.setattr(worker, "_server", IdleServer)
    monkeypatch.setattr(worker, "collect_seldom", lambda: None)  # it is for a process, and this one goes on
    (tmp_path / "policy.yaml").write_text(cases.POLICY)
    path = tmp_path / "extauthz.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    config, here = load_service(path, {"S": "secret"}), Address(host="127.0.0.1", port=0)
    with listening(here) as gateway, listening(here) as ops, capture_logs() as lines:
        sockets = worker.Sockets(gateway=gateway.fileno(), ops=ops.fileno())
        serving = asyncio.create_task(worker.work(config, sockets, path))
        async with asyncio.timeout(60):
            while not _faults(lines) and not serving.done():  # noqa: ASYNC110 - a line of the log is no event
                await asyncio.sleep(0.01)
        for _ in range(2):  # the second cuts the drain short
            stop.put_nowait(signal.SIGTERM)
        await serving
    (line,) = _faults(lines)
    assert line["fault"] == "RuntimeError"
    assert "canary" not in str(lines)


def _faults(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if "fault" in line]
