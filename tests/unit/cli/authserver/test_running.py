"""A process of the authorization server tells of a part of it that ends."""

import asyncio
from pathlib import Path

import pytest

from extauthz.cli.authserver import assembly, running
from extauthz.cli.listeners import listening
from extauthz.cli.worker import Sockets
from extauthz.config.authserver_load import AuthServerConfig
from extauthz.config.authserver_schema import AuthServerFile
from extauthz.config.store_address import StoreAddress
from extauthz.config.values import Address
from support.idle_server import IdleServer


async def test_a_part_that_dies_behind_the_requests_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else nobody would know that nothing is cleaned up any more; its message is not told, it may hold anything."""

    async def dies(*_: object, **__: object) -> None:
        raise RuntimeError("canary")

    stop = asyncio.Event()
    monkeypatch.setattr(assembly, "clean_up", dies)
    monkeypatch.setattr(running, "_stop_event", lambda supervised: stop)
    monkeypatch.setattr(running, "_server", IdleServer)
    address = StoreAddress(path=str(tmp_path / "as.db"))
    file = {"listen": "127.0.0.1:9190", "issuer": "http://127.0.0.1:9190", "store": str(address), "audit": "off"}
    config = AuthServerConfig(settings=AuthServerFile.model_validate(file), folder=tmp_path, store=address)
    with listening(Address(host="127.0.0.1", port=0)) as socket:
        sockets = Sockets(gateway=socket.fileno(), ops=socket.fileno())
        serving = asyncio.create_task(running.work(config, sockets))
        async with asyncio.timeout(60):
            while not caplog.messages and not serving.done():  # noqa: ASYNC110 - a line of the log is no event
                await asyncio.sleep(0.01)
        stop.set()
        await serving
    (line,) = caplog.messages
    assert "dies, has ended by RuntimeError" in line
    assert "canary" not in line
