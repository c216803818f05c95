"""The groups of Redis servers of the tests are what they say."""

from pathlib import Path

import pytest
import redis

from support.redis_groups import cluster, sentinel
from support.redis_server import LOOPBACK
from support.serving import wait_until


def test_a_sentinel_leads_to_the_new_master(tmp_path: Path) -> None:
    """With what the old one had."""
    with sentinel(tmp_path) as watched:
        assert watched.master is watched.first
        watched.first.command("SET", "a", "1")
        wait_until(lambda: watched.second.keys() == ["a"])
        with pytest.raises(redis.ReadOnlyError):
            watched.second.command("SET", "a", "2")
        watched.fail_over()
        assert watched.master is watched.second
        assert watched.second.command("GET", "a") == "1"
        assert watched.second.command("SET", "a", "2")


def test_a_cluster_shares_the_keys(tmp_path: Path) -> None:
    """Each node has some, and a client of the cluster finds all."""
    with cluster(tmp_path) as nodes:
        connection = redis.RedisCluster(host=LOOPBACK, port=nodes[0].port, decode_responses=True)
        try:
            for number in range(30):
                connection.set(f"key{number}", number)
            assert [connection.get(f"key{number}") for number in range(30)] == [str(number) for number in range(30)]
        finally:
            connection.close()
        shares = [len(node.keys()) for node in nodes]
        assert sum(shares) == 30
        assert all(shares)
