"""What runs beside the requests does not end unnoticed."""

import asyncio

from structlog.testing import capture_logs

from extauthz.observe.beside import run_beside


async def test_an_error_that_ends_a_part_is_told() -> None:
    """With the part and the type of the error; its message may hold anything."""

    async def broken() -> None:
        raise ValueError("secret")

    with capture_logs() as logs:
        await asyncio.wait([run_beside(broken())])
        await asyncio.sleep(0)
    (line,) = logs
    assert (line["log_level"], line["fault"]) == ("error", "ValueError")
    assert line["part"].endswith("broken")
    assert "secret" not in str(line)


async def test_an_end_that_was_asked_for_is_not() -> None:
    """Nor one without an error: some parts have nothing to do."""

    async def idle() -> None:
        await asyncio.sleep(0)

    with capture_logs() as logs:
        task = run_beside(asyncio.Event().wait())
        await run_beside(idle())
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert logs == []
