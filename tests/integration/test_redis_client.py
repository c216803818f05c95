"""The ways to a Redis: TCP, a Unix socket, TLS, Sentinel, a cluster; and what a caller may do meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extauthz.cli.processes import free_ports
from extauthz.resolver.breaker import Breaker, BreakerSettings
from extauthz.resolver.redis import Mode, Passwords, RedisClient, RedisSettings, RedisTrouble, Tls as TlsFiles
from extauthz.resolver.revocation import Kind
from extauthz.resolver.watched_file import Fixed
from extauthz.testing import TickingClock
from support.certificates import Authority
from support.redis_groups import MASTER_NAME, cluster, sentinel, sentinel_process
from support.redis_server import LOOPBACK, RedisServer, Tls
from support.sharing import PATIENT, CountingServer, Worker, settings_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "caching.md"
ECHO = "return {KEYS[1], ARGV[1]}"


@asynccontextmanager
async def connected(settings: RedisSettings) -> AsyncIterator[RedisClient]:
    breaker = Breaker(BreakerSettings(failures=3, window=3), TickingClock(), random=lambda: 0.0)
    client = RedisClient(settings, breaker)
    try:
        yield client
    finally:
        await client.close()


async def echo(client: RedisClient, name: str = "k") -> Any:  # noqa: ANN401 - what the script returns
    return await client.run(ECHO, (f"{{{name}}}",), (b"\xff",))


async def eventually(client: RedisClient, script: str, key: str) -> None:
    """Run it until there is no trouble."""
    async with asyncio.timeout(90):
        while True:
            try:
                await client.run_alone(script, (key,), (), PATIENT)
            except RedisTrouble:
                await asyncio.sleep(0.05)
            else:
                return


ECHOED = [b"{k}", b"\xff"]


async def test_over_tcp_with_a_database(redis: RedisServer) -> None:
    """Another database is another space."""
    async with connected(replace(settings_for(redis), database=3)) as client:
        assert await echo(client) == ECHOED
        await client.run("return redis.call('SET', KEYS[1], '1')", ("only-in-3",), ())
    assert redis.keys() == []


async def test_over_a_unix_socket(redis: RedisServer) -> None:
    """No port is needed."""
    async with connected(RedisSettings(socket=str(redis.socket), timeout=PATIENT)) as client:
        assert await echo(client) == ECHOED


async def test_as_a_user_with_the_rights_that_the_documentation_names(redis: RedisServer) -> None:
    """They are enough for cache and log, and for nothing else."""
    (rights,) = re.findall(r"`(~extauthz:\* [^`]*)`", DOCUMENT.read_text())
    redis.command("ACL", "SETUSER", "extauthz", "on", ">secret", *rights.split())
    settings = replace(settings_for(redis, password="secret"), username="extauthz")
    server = CountingServer()
    async with Worker(settings, server) as one, Worker(settings, server) as other:
        for worker in (one, other):
            worker.revocations.current = False
            await worker.hear()
        assert [(await worker.resolve()).level for worker in (one, other)] == ["server", "shared"]
        assert await one.feed.revoke([(Kind.SUB, "u1")])
        with pytest.raises(RedisTrouble):
            await one.redis.run("return redis.call('GET', KEYS[1])", ("other",), ())
    redis.flush()


async def test_a_new_password_counts_with_the_next_connection(redis: RedisServer) -> None:
    """Whoever changes it changes the file too, and nothing has to be started again."""
    redis.command("ACL", "SETUSER", "rotated", "on", ">first", "+@all", "~*")
    settings = replace(settings_for(redis), username="rotated")
    now = ["first"]
    passwords = Passwords(redis=Read(now), sentinel=Fixed(""))
    breaker = Breaker(BreakerSettings(failures=100, window=100), TickingClock(), random=lambda: 0.0)
    client = RedisClient(settings, breaker, passwords)
    try:
        assert await echo(client) == ECHOED
        redis.command("ACL", "SETUSER", "rotated", "<first", ">second")
        redis.command("CLIENT", "KILL", "USER", "rotated")
        with pytest.raises(RedisTrouble):
            await echo(client)
        now[0] = "second"
        assert await echo(client) == ECHOED
    finally:
        await client.close()
        redis.command("ACL", "DELUSER", "rotated")


class Read:
    """A password that a test changes."""

    def __init__(self, now: list[str]) -> None:
        self._now = now

    def __call__(self) -> str:
        return self._now[0]

    def look(self) -> bool:
        return False


async def test_over_tls_with_certificates_on_both_ends(tmp_path: Path) -> None:
    """Without ours there is trouble, and without theirs as well."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    tls = Tls(authority=authority, server=authority.issue("server"), client_must_show=True)
    ours = authority.issue("client")
    files = TlsFiles(ca=str(authority.path), certificate=str(ours.certificate), key=str(ours.key))
    with RedisServer(tmp_path, tls=tls) as server:
        settings = settings_for(server)
        async with connected(replace(settings, tls=files)) as client:
            assert await echo(client) == ECHOED
        for wrong in (replace(files, ca=str(stranger.path)), TlsFiles(ca=str(authority.path)), None):
            async with connected(replace(settings, tls=wrong)) as client:
                with pytest.raises(RedisTrouble):
                    await echo(client)


async def test_behind_sentinel(tmp_path: Path) -> None:
    """Sentinel says where the master is; when it moves, we follow."""
    with sentinel(tmp_path) as watched:
        nodes = ((LOOPBACK, watched.port),)
        settings = RedisSettings(mode=Mode.SENTINEL, nodes=nodes, service=MASTER_NAME, timeout=PATIENT)
        async with connected(settings) as client:
            await client.run("return redis.call('SET', KEYS[1], '1')", ("a",), ())
            await asyncio.to_thread(watched.fail_over)
            await eventually(client, "return redis.call('SET', KEYS[1], '2')", "b")
        assert watched.second.command("GET", "b") == "2"


async def test_sentinels_that_name_no_master_are_told_in_a_sentence(tmp_path: Path) -> None:
    """With what one of them met that could not be asked, and without the library's own objects."""
    (nobody,) = free_ports(1)
    silent = RedisSettings(mode=Mode.SENTINEL, nodes=((LOOPBACK, nobody),), service="orders", timeout=PATIENT)
    sentence = "no Sentinel names a master 'orders' that is up"
    assert await met(silent) == f"{sentence}; one could not be asked: ConnectionError"
    (port,) = free_ports(1)
    with sentinel_process(tmp_path, port, nobody) as process:
        process.wait_for_port(port)
        other = replace(silent, nodes=((LOOPBACK, port),))
        assert await met(other) == sentence


async def met(settings: RedisSettings) -> str:
    """What whoever sends a script is told, and the operator with them."""
    async with connected(settings) as client:
        with pytest.raises(RedisTrouble) as alone:
            await client.run_alone(ECHO, ("{k}",), (b"x",), PATIENT)
        with pytest.raises(RedisTrouble) as together:
            await echo(client)
        assert str(alone.value) == str(together.value) == client.trouble
        return client.trouble


async def test_a_server_that_repeats_what_it_was_sent_puts_no_password_into_our_log() -> None:
    """One from before Redis 6 does: it does not know the command that says who we are."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.read(1000)).decode().split("\r\n")
        said = " ".join(f"'{word}'" for word in words if word and word[0] not in "*$")
        writer.write(f"-ERR unknown command 'HELLO', with args beginning with: {said} \r\n".encode())
        writer.close()

    async with await asyncio.start_server(refuse, LOOPBACK, 0) as old:
        node = (LOOPBACK, old.sockets[0].getsockname()[1])
        settings = RedisSettings(nodes=(node,), password="canary", timeout=PATIENT)
        assert await met(settings) == "ResponseError: unknown command 'HELLO'"


@pytest.mark.parametrize("there", [True, False])
async def test_what_is_no_cluster_is_trouble(redis: RedisServer, there: bool) -> None:
    """Whether one server answers or none; the reader of the log of revocations tries again after nothing else."""
    node = (LOOPBACK, redis.port) if there else (LOOPBACK, free_ports(1)[0])
    async with connected(RedisSettings(mode=Mode.CLUSTER, nodes=(node,), timeout=PATIENT)) as client:
        for _ in range(2):
            with pytest.raises(RedisTrouble, match="Cluster"):
                await echo(client)
            with pytest.raises(RedisTrouble, match="Cluster"):
                await client.run_alone(ECHO, ("{k}",), (b"x",), PATIENT)


async def test_a_cluster(tmp_path: Path) -> None:
    """Scripts sent together find their own nodes."""
    with cluster(tmp_path) as nodes:
        settings = RedisSettings(mode=Mode.CLUSTER, nodes=((LOOPBACK, nodes[0].port),), timeout=PATIENT)
        async with connected(settings) as client:
            script = "return redis.call('SET', KEYS[1], redis.call('EXISTS', KEYS[2]))"
            names = [(f"{{{number}}}", f"{{{number}}}:lease") for number in range(50)]
            assert set(await asyncio.gather(*(client.run(script, pair, ()) for pair in names))) == {b"OK"}
        sizes = [len(node.keys()) for node in nodes]
        assert sum(sizes) == 50
        assert all(sizes)


class TestCallers:
    """Those who wait for an answer."""

    async def test_many_at_once_each_get_their_own(self, redis: RedisServer) -> None:
        """In whatever packets they travel."""
        async with connected(settings_for(redis)) as client:
            answers = await asyncio.gather(*(echo(client, str(number)) for number in range(500)))
        assert [answer[0] for answer in answers] == [f"{{{number}}}".encode() for number in range(500)]

    async def test_one_that_goes_away_takes_nobody_with_it(self, redis: RedisServer) -> None:
        """Before its script was sent, or after."""
        async with connected(settings_for(redis)) as client:
            waiting = [asyncio.create_task(echo(client)) for _ in range(100)]
            for number, task in enumerate(waiting):
                if number % 3 == 0:
                    task.cancel()
                await asyncio.sleep(0)
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(answer == ECHOED for number, answer in enumerate(answers) if number % 3)

    async def test_the_fault_of_one_is_not_that_of_another(self, redis: RedisServer) -> None:
        """Although they travel together."""
        async with connected(settings_for(redis)) as client:
            bad = client.run("return redis.call('GET')", ("k",), ())
            answers = await asyncio.gather(echo(client), bad, echo(client), return_exceptions=True)
        assert answers[0] == answers[2] == ECHOED
        assert isinstance(answers[1], RedisTrouble)
