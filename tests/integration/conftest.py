"""What several of these tests share."""

from collections.abc import Iterator

import pytest

from support.redis_server import RedisServer


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests: whoever breaks it starts it again."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """The same, without keys."""
    running_redis.flush()
    return running_redis
