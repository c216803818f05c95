"""Tells a service that caches our answers which tokens were revoked, so that it need not wait until it asks again.

A command sends a notice once and says what came of it; a server sends it until it was taken (``outbox``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import httpx

MAX_TOGETHER: Final = 500
TIMEOUT_SECONDS: Final = 5.0

_OK: Final = 200

Notice = Mapping[str, Sequence[str]]
"""Names of what was revoked by their kinds: ``jti``, ``sub`` or ``client_id``."""


async def deliver(
    addresses: Sequence[tuple[str, str]],
    notice: Notice,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> dict[str, str]:
    """Send the notice to each address with its secret, once; what went wrong, by address, empty where nothing did.

    A kind with very many names is sent in pieces.
    """

    async def told(url: str, secret: str) -> str:
        async with client(secret, transport) as http:
            for kind, names in notice.items():
                for start in range(0, len(names), MAX_TOGETHER):
                    if trouble := await post(http, url, {kind: names[start : start + MAX_TOGETHER]}):
                        return trouble
        return ""

    troubles = await asyncio.gather(*(told(url, secret) for url, secret in addresses))
    return {url: trouble for (url, _), trouble in zip(addresses, troubles, strict=True)}


def client(secret: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """Return what shows the secret; to be closed."""
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(transport=transport, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)


async def post(http: httpx.AsyncClient, url: str, notice: Mapping[str, object]) -> str:
    """Send the notice once; what went wrong, empty when nothing did."""
    try:
        answer = await http.post(url, json=notice)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == _OK else f"status {answer.status_code}"
