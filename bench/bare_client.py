"""Questions that an HTTP client asks by itself, with nothing around it: what P4 is compared with.

    python -m bench.bare_client URL SECONDS

aiohttp, the fastest of the clients that are written for asyncio; 32 questions in flight, as under load. It prints how many
were answered in a second.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

_IN_FLIGHT = 32
_WARM_UP = 64


async def _main(url: str, seconds: float) -> None:
    async with aiohttp.ClientSession() as session:

        async def ask(number: int) -> None:
            form = {"token": f"token-{number:037}", "token_type_hint": "access_token"}
            async with session.post(url, data=form) as answer:
                assert b'"active": true' in await answer.read()

        for number in range(_WARM_UP):
            await ask(number)
        begin = time.monotonic()
        counts = await asyncio.gather(*(_go_on(ask, lane, begin + seconds) for lane in range(_IN_FLIGHT)))
        print(sum(counts) / (time.monotonic() - begin))


async def _go_on(ask: Callable[[int], Awaitable[None]], lane: int, end: float) -> int:
    """Ask one after the other; how many."""
    count = 0
    while time.monotonic() < end:
        await ask(_WARM_UP + lane + _IN_FLIGHT * count)
        count += 1
    return count


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], float(sys.argv[2])))
