"""Real processes that share a Redis, and workers that share a folder: what one learns or forgets, all do."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

import cases
from extauthz.authserver.admin import add_client, issue_token
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli import main
from extauthz.cli.processes import Process, free_ports
from support.own_server import ROUNDS
from support.redis_server import RedisServer
from support.serving import Answer, Service, ask, get, loopback, metadata, wait_until, write_files
from support.stub_server import AUDIENCE, ISSUER, SECRET, Reply, StubServer, active, raw

CANARY = "c4n4ry"
OPS_TOKEN = f"ops-{CANARY}-0123456789"
KEYS = f"{'ab' * 32}\n"
SCOPES = ("orders:read",)
INACTIVE = raw(b'{"active":false}')
ARRIVES_SECONDS = 30.0
"""Far more than a notice takes, and far less than answers are kept."""


class Instance:
    """One start of the program, with what it needs to be talked to."""

    def __init__(self, folder: Path, introspection: str, *arguments: str, **changes: Any) -> None:  # noqa: ANN401 - sections
        folder.mkdir()
        (folder / "ops-token").write_text(OPS_TOKEN)
        (folder / "keys").write_text(KEYS)
        self.gateway, self.ops = free_ports(2)
        self.config = write_files(
            folder, loopback(self.gateway, self.ops), introspection, ops={"token": {"file": "ops-token"}}, **changes
        )
        self.service = Service(self.config, *arguments)

    def answer(self, token: str) -> Answer:
        """What NGINX would be told about a request with this token."""
        return get(self.gateway, "/nginx", [*metadata(), ("Authorization", f"Bearer {token}")])

    def gauge(self, name: str) -> float:
        """A number of the metrics page."""
        found = re.search(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.]+)$", get(self.ops, "/metrics").text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    def post(self, names: object, *, secret: str = OPS_TOKEN) -> int:
        """Revoke; the status."""
        headers = {"authorization": f"Bearer {secret}"}
        url = f"http://127.0.0.1:{self.ops}/revoke"
        return httpx.post(url, json=names, headers=headers, trust_env=False, timeout=60).status_code

    def revoke(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run the command."""
        command = [sys.executable, "-m", "extauthz", "revoke", "--config", str(self.config), *arguments]
        environment = {"EXTAUTHZ_CLIENT_SECRET": "x", "PATH": ""}
        return subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=90, check=False, env=environment
        )


def server_at(url: str, **cache: str) -> dict[str, dict[str, object]]:
    """The section of the stub server."""
    client = {"id": "gateway", "secret": {"env": "EXTAUTHZ_CLIENT_SECRET"}}
    main: dict[str, object] = {
        "issuer": ISSUER,
        "introspection_endpoint": url,
        "client": client,
        "timeout": "10s",
        "cache": cache,
    }
    return {"main": main}


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer(dict(cases.ANSWERS)) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), password=f"redis-{CANARY}") as server:
        yield server


def shared_cache(redis: RedisServer) -> dict[str, object]:
    """The section of the Redis."""
    return {
        "redis": redis.url,
        "password": {"file": "redis-password"},
        "keys": {"file": "keys"},
        "timeout": "10s",  # the machine may be busy
    }


@contextmanager
def pair_of(folder: Path, server: StubServer, redis: RedisServer) -> Iterator[list[Instance]]:
    """Two of them, as on two hosts."""
    with ExitStack() as stack:
        pair = [Instance(folder / name, server.url, shared_cache=shared_cache(redis)) for name in ("one", "other")]
        for instance in pair:
            instance.config.with_name("redis-password").write_text(f"redis-{CANARY}")
            stack.enter_context(instance.service.ready(instance.ops))
        for instance in pair:
            wait_until(lambda instance=instance: instance.gauge("extauthz_revocations_connected") == 1)  # type: ignore[misc] # a lambda has no types
        yield pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: StubServer, redis: RedisServer) -> Iterator[list[Instance]]:
    with pair_of(tmp_path_factory.mktemp("pair"), server, redis) as pair:
        yield pair


def let_in(server: StubServer, instances: list[Instance], token: str, **members: object) -> None:
    """Both know a new token that is good."""
    server.replies[token] = lambda: active(**members)
    assert {ask(instance.gateway, token) for instance in instances} == {200}


def told_of_keys(instance: Instance) -> int:
    """How often it has said that it read the keys again."""
    return sum("secret_reloaded" in line and "shared_cache" in line for line in instance.service.stderr.splitlines())


class TestTwoHosts:
    """Two processes, one Redis."""

    def test_one_question_is_enough_for_both(self, pair: list[Instance], server: StubServer) -> None:
        """The other finds the answer in Redis."""
        let_in(server, pair, "common")
        assert server.calls["common"] == 1
        wait_until(lambda: '"level":"shared"' in pair[1].config.with_name("audit.jsonl").read_text())

    def test_keys_change_without_a_restart(self, pair: list[Instance], server: StubServer) -> None:
        """Step by step; afterwards what one learns and forgets the other still does."""
        new = f"{'cd' * 32}\n"
        for step, content in enumerate((KEYS + new, new + KEYS, new), start=1):
            for instance in pair:
                instance.config.with_name("keys").write_text(content)
            wait_until(lambda step=step: [*map(told_of_keys, pair)] == [step] * 2)  # type: ignore[misc] # a lambda has no types
        let_in(server, pair, "after")
        assert server.calls["after"] == 1
        server.replies["after"] = lambda: INACTIVE
        assert pair[0].post({"token": "after"}) == 200
        wait_until(lambda: ask(pair[1].gateway, "after") == 401)

    @pytest.mark.parametrize("kind", ["token", "jti", "sub", "client_id", "all"])
    def test_a_revocation_at_one_reaches_the_other(self, pair: list[Instance], server: StubServer, kind: str) -> None:
        """Although both have kept the answer; what it does not name is kept."""
        token, other = f"revoked-{kind}", f"kept-{kind}"
        names = {"token": token, "jti": f"jti-{kind}", "sub": f"sub-{kind}", "client_id": f"client-{kind}", "all": True}
        let_in(server, pair, token, jti=names["jti"], sub=names["sub"], client_id=names["client_id"])
        let_in(server, pair, other, sub="somebody else")
        server.replies[token] = lambda: INACTIVE
        assert pair[0].post({kind: names[kind]}) == 200
        assert ask(pair[0].gateway, token) == 401
        wait_until(lambda: ask(pair[1].gateway, token) == 401, ARRIVES_SECONDS)
        assert server.calls[token] == 2
        assert [ask(instance.gateway, other) for instance in pair] == [200, 200]
        assert server.calls[other] == (2 if kind == "all" else 1)

    def test_the_command_line_revokes(self, pair: list[Instance], server: StubServer) -> None:
        """A token comes from standard input, because other users can see a command line."""
        let_in(server, pair, "by-command")
        server.replies["by-command"] = lambda: INACTIVE
        done = pair[0].revoke("--token-file", "-", given="by-command\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "revoked\n", "")
        wait_until(lambda: [ask(instance.gateway, "by-command") for instance in pair] == [401, 401], ARRIVES_SECONDS)

    def test_only_who_knows_the_secret_revokes(self, pair: list[Instance]) -> None:
        """And only by POST."""
        assert pair[0].post({"all": True}, secret="wrong") == 401
        assert get(pair[0].ops, "/revoke").status == 405

    def test_whoever_knows_it_sets_the_log_level(self, pair: list[Instance]) -> None:
        """Of this host, and back."""
        url = f"http://127.0.0.1:{pair[0].ops}/log"
        for secret, level, status in (
            ("wrong", "debug", 401),
            (OPS_TOKEN, "debug", 200),
            (OPS_TOKEN, "configured", 200),
        ):
            headers = {"authorization": f"Bearer {secret}"}
            assert httpx.post(url, content=level, headers=headers, trust_env=False, timeout=60).status_code == status
        told = [f'"to": "{level}"' for level in ("debug", "info")]
        wait_until(lambda: [pair[0].service.stderr.count(each) for each in told] == [1, 1])
        assert "log level changed" not in pair[1].service.stderr

    def test_metrics_say_how_old_an_answer_may_be(self, pair: list[Instance]) -> None:
        """And that notices arrive."""
        assert pair[0].gauge("extauthz_max_staleness_seconds") == 60
        assert pair[0].gauge("extauthz_revocations_connected") == 1

    @pytest.mark.shows("S34")
    def test_no_secret_and_no_name_is_anywhere(
        self, pair: list[Instance], server: StubServer, redis: RedisServer
    ) -> None:
        """Neither in Redis, nor in logs, metrics, answers, or what the command says."""
        token = f"token-{CANARY}"
        members = {"sub": f"sub-{CANARY}", "jti": f"jti-{CANARY}", "client_id": f"client-{CANARY}"}
        let_in(server, pair, token, **members)
        dump = redis.everything()
        done = pair[0].revoke("--token-file", "-", "--jti", members["jti"], "--sub", members["sub"], given=token)
        outputs = [instance.service.stdout + instance.service.stderr for instance in pair]
        pages = [get(instance.ops, "/metrics").text for instance in pair]
        assert len(dump) > 3
        assert CANARY not in repr([dump, redis.everything(), done.stdout, done.stderr, outputs, pages])
        assert "ab" * 32 not in repr([outputs, pages])


def test_redis_may_go_and_come_back(tmp_path: Path, server: StubServer) -> None:
    """Both go on without it, and share again when it is there; nobody is restarted."""
    with RedisServer(tmp_path, password=f"redis-{CANARY}") as redis, pair_of(tmp_path, server, redis) as pair:
        let_in(server, pair, "before")
        redis.kill()
        wait_until(lambda: all(one.gauge("extauthz_revocations_connected") == 0 for one in pair))
        assert [one.gauge("extauthz_shared_cache_up") for one in pair] == [0, 0]
        let_in(server, pair, "meanwhile")
        assert server.calls["meanwhile"] == 2
        assert pair[0].post({"sub": "meanwhile"}) == 503
        redis.restart()
        wait_until(lambda: all(one.gauge("extauthz_revocations_connected") == 1 for one in pair))
        wait_until(lambda: shares(server, pair))
        assert [one.gauge("extauthz_shared_cache_up") for one in pair] == [1, 1]
        told = pair[0].service.stderr
        assert "revocations_cut" in told
        assert told.count("revocations_back") == told.count("revocations_connected") == 1


def shares(server: StubServer, pair: list[Instance]) -> bool:
    """Whether one question is enough for a new token."""
    token = f"new-{server.calls.total()}"
    let_in(server, pair, token)
    return server.calls[token] == 1


def test_many_workers_and_many_tokens_are_one_question_each(
    tmp_path: Path, server: StubServer, redis: RedisServer
) -> None:
    """Cold, all at once, over connections that reach all of them."""
    section = shared_cache(redis)
    instance = Instance(tmp_path / "many", server.url, "--workers", "3", shared_cache=section)
    instance.config.with_name("redis-password").write_text(f"redis-{CANARY}")
    tokens = [f"many-{number}" for number in range(100)]
    for token in tokens:
        server.replies[token] = active
    with instance.service.ready(instance.ops):
        wait_until(lambda: instance.service.stderr.count('"ready"') == 3)
        wait_until(lambda: instance.gauge("extauthz_revocations_connected") == 1)
        with ThreadPoolExecutor(12) as pool:
            statuses = set(pool.map(lambda token: ask(instance.gateway, token), [t for t in tokens for _ in range(6)]))
    assert statuses == {200}
    assert sum(server.calls[token] for token in tokens) <= 105


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory, server: StubServer) -> Iterator[Instance]:
    """Three workers, no Redis."""
    instance = Instance(tmp_path_factory.mktemp("workers") / "one", server.url, "--workers", "3")
    with instance.service.ready(instance.ops):
        wait_until(lambda: instance.service.stderr.count('"ready"') == 3)
        wait_until(lambda: instance.gauge("extauthz_revocations_connected") == 1)
        yield instance


class TestWorkers:
    """Several workers of one supervisor."""

    @pytest.mark.parametrize("names", [{"sub": "worker-sub"}, {"all": True}])
    def test_a_revocation_reaches_all_of_them(
        self, trio: Instance, server: StubServer, names: dict[str, object]
    ) -> None:
        """Whichever of them took it."""
        token = f"worker-{next(iter(names))}"
        server.replies[token] = lambda: active(sub="worker-sub")
        while server.calls[token] < 3:
            assert ask(trio.gateway, token) == 200
        server.replies[token] = lambda: INACTIVE
        assert ask(trio.gateway, token) == 200
        assert trio.post(names) == 200
        wait_until(lambda: {ask(trio.gateway, token) for _ in range(20)} == {401}, ARRIVES_SECONDS)

    def test_what_they_share_is_theirs_alone(self, trio: Instance) -> None:
        """The folder, and the key in it."""
        command = Path(f"/proc/{min(trio.service.workers())}/cmdline").read_bytes().split(b"\0")
        folder = Path(command[command.index(b"--together") + 1].decode())
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "secret").stat().st_mode & 0o777 == 0o600
        assert "worker" not in repr([path.read_bytes() for path in folder.glob("revocations*")])


@pytest.mark.shows("S37")
def test_an_outage_lets_in_who_was_known_before(tmp_path: Path, server: StubServer) -> None:
    """By option, on routes that are not live; the gateway, the record and the metrics say so."""
    servers = server_at(server.url, ttl="100ms", stale_if_error="1h")
    instance = Instance(tmp_path / "stale", server.url, authorization_servers=servers)
    with instance.service.ready(instance.ops):
        let_in(server, [instance], "known")
        server.replies["known"] = server.replies["unknown"] = lambda: Reply(status=503)
        time.sleep(0.2)
        answer = instance.answer("known")
        assert (answer.status, dict(answer.headers)["x-authz-reason"]) == (200, "allowed_stale")
        live = get(instance.gateway, "/nginx", [*metadata("/live"), ("Authorization", "Bearer known")])
        assert dict(live.headers)["x-authz-status"] == "503"
        assert dict(instance.answer("unknown").headers)["x-authz-status"] == "503"
        assert instance.gauge("extauthz_max_staleness_seconds") == 3600.1
        server.replies["known"] = active
        assert dict(instance.answer("known").headers)["x-authz-reason"] == "allowed"
        assert instance.gauge("extauthz_max_staleness_seconds") == 0.1
        record = instance.config.with_name("audit.jsonl")
        wait_until(lambda: '"reason":"allowed_stale"' in record.read_text())


async def issue(store: Path) -> list[str]:
    """Two tokens of a client that may revoke them, and a client that may ask about them."""
    async with SqliteStore(store) as opened:
        for name, can_introspect in (("gateway", True), ("app", False)):
            audiences = ("*",) if can_introspect else (AUDIENCE,)
            await add_client(
                opened,
                client_id=name,
                secret=SECRET,
                can_introspect=can_introspect,
                audiences=audiences,
                scopes=SCOPES,
                rounds=ROUNDS,
            )
        issued = [
            await issue_token(
                opened, client_id="app", sub="u1", scope=SCOPES, audience=(AUDIENCE,), ttl_seconds=600, now=time.time()
            )
            for _ in range(2)
        ]
    return [token for token, _ in issued]


class AuthorizationServer:
    """The embedded one, whose answers one instance caches for an hour."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "as.db"
        self.tokens = asyncio.run(issue(self.store))
        (self.port,) = free_ports(1)
        self.issuer = f"http://127.0.0.1:{self.port}"
        servers = server_at(f"{self.issuer}/oauth2/introspect", ttl="1h")
        servers["main"]["issuer"] = self.issuer
        self.instance = Instance(folder / "one", "", authorization_servers=servers)
        self.log = folder / "as.log"

    def notify(self, port: int) -> list[str]:
        """Whom the server or a command is to tell."""
        token = str(self.instance.config.with_name("ops-token"))
        return ["--notify", f"http://127.0.0.1:{port}/revoke", "--notify-token-file", token]

    @contextmanager
    def serving(self, *, notified: int) -> Iterator[Process]:
        """Serve, and tell whoever listens on this port."""
        command = [sys.executable, "-m", "extauthz", "authserver", "serve", "--store", f"sqlite:///{self.store}"]
        command += ["--listen", f"127.0.0.1:{self.port}", "--issuer", self.issuer, *self.notify(notified)]
        with Process("authserver", command, log=self.log) as process:
            process.wait_for_port(self.port)
            yield process

    def revoke(self, token: str) -> None:
        """As its client does."""
        form = {"token": token, "client_id": "app", "client_secret": SECRET}
        assert httpx.post(f"{self.issuer}/oauth2/revoke", data=form, trust_env=False, timeout=60).status_code == 200

    def command(self, *arguments: str) -> str:
        """Run it on the store of the server."""
        result = CliRunner().invoke(main, [*arguments, "--store", f"sqlite:///{self.store}"])
        assert result.exit_code == 0, result.output
        return result.output


def test_the_embedded_authorization_server_tells_what_it_revoked(tmp_path: Path) -> None:
    """Long before the answer in the cache would have ended; and so does its command line, which names the user."""
    server = AuthorizationServer(tmp_path)
    instance, (token, other) = server.instance, server.tokens
    with server.serving(notified=instance.ops), instance.service.ready(instance.ops):
        assert [ask(instance.gateway, each) for each in (token, other)] == [200, 200]
        server.revoke(token)
        wait_until(lambda: ask(instance.gateway, token) == 401, ARRIVES_SECONDS)
        assert ask(instance.gateway, other) == 200
        told = server.command("token", "revoke", "--sub", "u1", *server.notify(instance.ops))
        assert told == "1 revoked, 1 of 1 told\n"
        assert ask(instance.gateway, other) == 401


def test_a_server_tells_what_a_killed_one_and_a_command_have_left(tmp_path: Path) -> None:
    """`kill -9` after the 200 and before the notice; and a client that is disabled by a command that tells nobody."""
    server = AuthorizationServer(tmp_path)
    instance, (token, other) = server.instance, server.tokens
    (nobody,) = free_ports(1)
    with instance.service.ready(instance.ops):
        with server.serving(notified=nobody) as process:
            assert [ask(instance.gateway, each) for each in (token, other)] == [200, 200]
            server.revoke(token)
            os.kill(process.pid, signal.SIGKILL)
        assert [ask(instance.gateway, each) for each in (token, other)] == [200, 200]
        with server.serving(notified=instance.ops):
            wait_until(lambda: ask(instance.gateway, token) == 401, ARRIVES_SECONDS)
            assert ask(instance.gateway, other) == 200
            server.command("client", "disable", "app")
            wait_until(lambda: ask(instance.gateway, other) == 401, ARRIVES_SECONDS)
