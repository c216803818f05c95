"""Before anything is measured: whoever should tell a good token from a bad one does, and knows all tokens."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from bench.load import wrk
from bench.stage import START_SECONDS, NotAsExpected, Part, Stage
from bench.walk import walk
from bench.workload import HOST, PAIRS, REFUSED, TOKENS, path, token

FLOORS = {"envoy no-op", "envoy alone", "nginx no-op", "nginx return 200"}
"""Gateways that let all pass."""

_OK, _UNAUTHORIZED = 200, 401
_TAIL_LINES = 10
_ATTEMPTS = 3


def prove(stage: Stage) -> None:
    """Look at all parts that run.

    Raises:
        NotAsExpected: when an answer is not what it must be.
    """
    stage.await_all()
    for name, part in stage.running.items():
        if part.gateway:
            _expect(name, part, token(0), _OK)
        if part.gateway and name not in FLOORS:
            _expect(name, part, REFUSED, _UNAUTHORIZED)
            _expect(name, part, "", _UNAUTHORIZED)
        if name.startswith("extauthz"):
            _warm(name, part, stage)


def _warm(name: str, part: Part, stage: Stage) -> None:
    """From here on no token is new."""
    refusal = walk(part.port, stage.questions.refused, 0)
    fill(part, stage.questions, TOKENS)
    if refusal.wrong != refusal.requests:
        raise NotAsExpected(f"{name}: a token that is not active was let pass")
    if part.workers > 1:  # the connection above is one worker's
        wrk(part.port, stage.script("nginx"), 1, pairs=PAIRS)


def fill(part: Part, question: Callable[[int], bytes], count: int) -> None:
    """Ask so many questions until all of them are allowed: from then on no token is new.

    Once may not be enough: on a machine that is held up for a moment, questions to the authorization server are late.

    Raises:
        NotAsExpected: when some are refused every time.
    """
    wrong = count
    for _ in range(_ATTEMPTS):
        wrong = walk(part.port, question, 0, at_least=count).wrong
        if not wrong:
            return
    raise NotAsExpected(f"{part.name}: {wrong} of {count} active tokens were refused, the last of {_ATTEMPTS} times")


def expect_allow(gateway: Part) -> None:
    """Wait until a gateway lets a good token pass."""
    gateway.process.wait_for_port(gateway.port, START_SECONDS)
    _expect(gateway.name, gateway, token(0), _OK)


def _expect(name: str, part: Part, bearer: str, status: int) -> None:
    """Ask through a gateway until the answer is this status: the gateway may still be looking for its parts."""
    end = time.monotonic() + START_SECONDS
    while (got := _status(part.port, bearer)) != status:
        if time.monotonic() > end or (status == _UNAUTHORIZED and got == _OK):
            log = "\n".join(part.process.output().splitlines()[-_TAIL_LINES:])
            raise NotAsExpected(f"{name}: answers {got} where {status} is right\n{log}")
        time.sleep(0.1)


def _status(port: int, bearer: str) -> int:
    """The status of a GET on the first route."""
    headers = {"Host": HOST, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path(0, 0)}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - a URL of ours
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
