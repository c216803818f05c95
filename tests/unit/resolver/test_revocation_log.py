"""The log of revocations in Redis: what is no answer of ours is trouble, and nothing else."""

import pytest

from extauthz.resolver.revocation import ALL
from extauthz.resolver.revocation_log import LogTrouble, RedisLog


class OddRedis:
    """Answers scripts with something else than they return."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def run_alone(self, *_: object) -> object:
        return self.answer


@pytest.mark.parametrize(
    "answer", [None, 5, "1-1", b"1", [], [b"1-1"], [[b"1-1", None]], [[b"1-1", [b"all", 5]]], [[5, []]]]
)
async def test_an_answer_of_another_kind_is_trouble(answer: object) -> None:
    """It must not end the reading, and keeps nobody from revoking here."""
    log = RedisLog(OddRedis(answer), prefix="p")  # type: ignore[arg-type] # the one method that is used
    with pytest.raises(LogTrouble):
        await log.append([ALL], 0)
    if answer != []:
        with pytest.raises(LogTrouble):
            await log.read(0)
