"""What runs behind the requests does not end unnoticed."""

import asyncio

import pytest

from extauthz.authserver.beside import run_beside


async def test_an_error_that_ends_a_part_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """With the part and the type of the error; its message may hold anything."""

    async def broken() -> None:
        raise ValueError("secret")

    await asyncio.wait([run_beside(broken())])
    await asyncio.sleep(0)
    (line,) = caplog.messages
    assert "broken, has ended by ValueError" in line
    assert "secret" not in line


async def test_an_end_that_was_asked_for_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """Nor one without an error: some parts have nothing to do."""

    async def idle() -> None:
        await asyncio.sleep(0)

    task = run_beside(asyncio.Event().wait())
    await run_beside(idle())
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert caplog.messages == []
