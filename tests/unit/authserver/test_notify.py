"""A command tells those who cache our answers once, and hears what came of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from extauthz.authserver.notify import deliver

URL = "http://127.0.0.1:9192/revoke"
SECRET = "a-secret-of-the-operator"


class Receiver:
    """Takes notices as told, by default well."""

    def __init__(self, *statuses: int) -> None:
        self.taken: list[dict[str, Any]] = []
        self.requests: list[httpx.Request] = []
        self.transport = httpx.MockTransport(self._take)
        self._statuses = list(statuses)

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self._statuses.pop(0) if self._statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        if status == 200:
            self.taken.append(json.loads(request.content))
        return httpx.Response(status)


async def test_a_notice_names_what_was_revoked_and_shows_the_secret() -> None:
    """Nothing else."""
    receiver = Receiver()
    assert await deliver([(URL, SECRET)], {"sub": ["alice"]}, transport=receiver.transport) == {URL: ""}
    (request,) = receiver.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert receiver.taken == [{"sub": ["alice"]}]


async def test_very_many_names_are_sent_in_pieces() -> None:
    """Each small enough for the one who takes it; where there is no name nothing is sent."""
    receiver = Receiver()
    names = [f"j{number}" for number in range(501)]
    assert await deliver([(URL, SECRET)], {"jti": names}, transport=receiver.transport) == {URL: ""}
    assert [len(notice["jti"]) for notice in receiver.taken] == [500, 1]
    assert await deliver([(URL, SECRET)], {"jti": []}, transport=receiver.transport) == {URL: ""}
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(("status", "trouble"), [(503, "status 503"), (403, "status 403"), (0, "ConnectError")])
async def test_what_went_wrong_is_told_by_address(status: int, trouble: str) -> None:
    """It is not tried again: whoever typed the command does that."""
    receiver = Receiver(status)
    assert await deliver([(URL, SECRET)], {"jti": ["j"]}, transport=receiver.transport) == {URL: trouble}
    assert len(receiver.requests) == 1
