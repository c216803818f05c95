"""What processes share is put together as the file says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.app_resolver import LOG_FILE, SECRET_FILE, Sharing, own_certificate, prepare
from extauthz.app_server import server_settings
from extauthz.config.load import load_service
from extauthz.core.token import Token
from extauthz.resolver.redis import Mode, RedisSettings, Tls
from extauthz.resolver.revocation import Kind
from extauthz.resolver.settings import ServerSettings
from extauthz.testing import RecordingObserver, active
from support.certificates import Authority
from support.redis_server import RedisServer

SECRETS = {"CLIENT_SECRET": "s", "KEYS": "ab" * 32, "PASSWORD": "p", "SENTINEL": "q"}


def sharing(folder: Path, together: Path | None = None, **shared_cache: Any) -> Sharing:  # noqa: ANN401 - as written
    """With this section, or none."""
    (folder / "policy.yaml").write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
    client = {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}}
    service = {
        "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
        "policy": "policy.yaml",
        "authorization_servers": {"main": {"introspection_endpoint": "https://as.example.com/i", "client": client}},
    }
    more = {"shared_cache": {"keys": {"env": "KEYS"}} | shared_cache} if shared_cache else {}
    path = folder / "extauthz.yaml"
    path.write_text(yaml.safe_dump(service | more))
    return Sharing(load_service(path, SECRETS), RecordingObserver(), together)


def settings_of_main(folder: Path) -> ServerSettings:
    config = load_service(folder / "extauthz.yaml", SECRETS)
    return server_settings("main", config.settings.authorization_servers["main"])


def key(one: Sharing, folder: Path) -> bytes:
    """Of a token in the memory of a process."""
    return one.cache(settings_of_main(folder)).key(Token("t"))


def redis_settings(one: Sharing) -> RedisSettings:
    """What its client was given."""
    assert one._redis is not None  # noqa: SLF001 - what was composed
    return one._redis._settings  # noqa: SLF001 - same


async def test_alone_nothing_is_shared(tmp_path: Path) -> None:
    """Two processes have nothing in common, and nobody to tell."""
    one, other = sharing(tmp_path), sharing(tmp_path)
    assert key(one, tmp_path) != key(other, tmp_path)
    assert not one.feed.follows
    assert await one.revoke([("sub", "u1")])
    await one.close()


async def test_workers_share_a_key_and_a_log(tmp_path: Path) -> None:
    """In a folder that their supervisor prepared."""
    together = tmp_path / "together"
    together.mkdir()
    prepare(together)
    one, other = sharing(tmp_path, together), sharing(tmp_path, together)
    assert key(one, tmp_path) == key(other, tmp_path)
    assert one.feed.follows
    assert await one.revoke([("sub", "u1"), ("all", "")])
    assert (together / LOG_FILE).exists()
    assert (together / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    await one.close()


async def test_hosts_share_the_keys_of_the_file(tmp_path: Path) -> None:
    """With Redis, the folder has no meaning."""
    with RedisServer(tmp_path) as redis:
        one, other = (sharing(tmp_path, redis=redis.url, timeout="5s") for _ in range(2))
        assert key(one, tmp_path) == key(other, tmp_path)
        assert await one.revoke([(Kind.TOKEN.value, "t")])
        assert redis.keys() == ["extauthz:1:revocations"]
        for process in (one, other):
            await process.close()


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ({"redis": "unix:///run/redis.sock"}, RedisSettings(socket="/run/redis.sock")),
        (
            {"redis": "rediss://redis:7000/3", "username": "u", "password": {"env": "PASSWORD"}, "timeout": "20ms"},
            RedisSettings(nodes=(("redis", 7000),), database=3, username="u", password="p", timeout=0.02, tls=Tls()),
        ),
        (
            {
                "redis": ["redis://127.0.0.1:1", "redis://127.0.0.1:2"],
                "mode": "sentinel",
                "service": "main",
                "sentinel_password": {"env": "SENTINEL"},
            },
            RedisSettings(
                mode=Mode.SENTINEL,
                nodes=(("127.0.0.1", 1), ("127.0.0.1", 2)),
                service="main",
                sentinel_password="q",
            ),
        ),
        (
            {"redis": "redis://127.0.0.1:1", "mode": "cluster"},
            RedisSettings(mode=Mode.CLUSTER, nodes=(("127.0.0.1", 1),)),
        ),
    ],
)
async def test_each_deployment_is_reached_as_the_file_says(
    tmp_path: Path, section: dict[str, Any], settings: RedisSettings
) -> None:
    """Nothing is connected before it is used."""
    one = sharing(tmp_path, **section)
    assert redis_settings(one) == settings
    assert "'p'" not in repr(redis_settings(one))
    await one.close()


async def test_files_for_tls_are_found_beside_the_configuration(tmp_path: Path) -> None:
    """Relative to its folder."""
    authority = Authority(tmp_path)
    one = sharing(tmp_path, redis="rediss://redis", tls={"ca": authority.path.name})
    assert redis_settings(one).tls == Tls(ca=str(authority.path))
    await one.close()


@pytest.mark.parametrize(
    ("shared_cache", "name"),
    [
        ({"redis": "rediss://redis", "tls": {"certificate": "rs.pem", "key": "rs.key"}}, "rs.pem"),
        ({"redis": "rediss://redis"}, None),
        ({}, None),
    ],
    ids=["ours", "none", "no Redis"],
)
async def test_the_certificate_that_redis_is_shown_is_known(
    shared_cache: dict[str, Any], name: str | None, tmp_path: Path
) -> None:
    Authority(tmp_path).issue("rs")
    await sharing(tmp_path, **shared_cache).close()
    found = own_certificate(load_service(tmp_path / "extauthz.yaml", SECRETS))
    assert found == (None if name is None else tmp_path / name)


async def test_a_circuit_that_opens_and_closes_is_told(tmp_path: Path) -> None:
    """In words that the operator knows, with what went wrong."""
    one = sharing(tmp_path, redis="redis://127.0.0.1:1", username="u", password={"env": "PASSWORD"})
    observer = one._observer  # noqa: SLF001 - what was composed
    assert isinstance(observer, RecordingObserver)
    settings = settings_of_main(tmp_path)
    one.revocations.current = True
    shared = one.shared(settings, one.cache(settings))
    assert shared is not None
    for number in range(6):
        assert await shared.find(Token(f"t{number}"), None) is None
    (event,) = observer.happenings
    assert (event.what.value, event.subject) == ("shared_cache_down", "redis")
    assert event.detail.startswith("ConnectionError: Error 111 connecting to 127.0.0.1:1.")
    await one.close()


class Second:
    """A pause that is over at once; after so many of them the loop is left."""

    class Over(Exception):  # noqa: N818 - no error
        """Enough."""

    def __init__(self, times: int = 1) -> None:
        self._left = times

    async def __call__(self, _seconds: float) -> None:
        self._left -= 1
        if self._left < 0:
            raise self.Over


def write(file: Path, content: str) -> None:
    file.write_text(content)


async def look(*processes: Sharing) -> None:
    """A second passes in each of them."""
    for process in processes:
        with pytest.raises(Second.Over):
            await process.follow_keys(Second())


class TestKeysThatChange:
    """Without a restart: append the new key everywhere, move it to the front, remove the old one."""

    OLD, NEW, OTHER = "ab" * 32, "cd" * 32, "ef" * 32

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "keys"
        path.write_text(self.OLD)
        return path

    async def test_a_process_that_began_before_ends_like_one_that_begins_after(
        self, tmp_path: Path, file: Path
    ) -> None:
        """Tokens have the same names for both, at every step, whenever a cache was made."""
        section: dict[str, Any] = {"redis": "redis://127.0.0.1:1", "keys": {"file": file.name}}
        before = sharing(tmp_path, **section)
        settings = settings_of_main(tmp_path)
        cache = before.cache(settings)
        assert before.shared(settings, cache) is not None
        first = cache.key(Token("t"))
        for content in (f"{self.OLD} {self.NEW}", f"{self.NEW} {self.OLD}", self.NEW):
            write(file, content)
            await look(before)
            after = sharing(tmp_path, **section)
            assert cache.key(Token("t")) == key(before, tmp_path) == key(after, tmp_path)
            assert (cache.key(Token("t")) == first) is content.startswith(self.OLD)
            await after.close()
        await before.close()

    @pytest.mark.parametrize("kind", [Kind.TOKEN, Kind.SUB])
    async def test_a_notice_and_a_value_are_found_at_every_step(self, tmp_path: Path, file: Path, kind: Kind) -> None:
        """Between two processes of which one is a step ahead."""
        with RedisServer(tmp_path) as redis:
            section: dict[str, Any] = {"redis": redis.url, "timeout": "5s", "keys": {"file": file.name}}
            ahead, behind = sharing(tmp_path, **section), sharing(tmp_path, **section)
            settings = settings_of_main(tmp_path)
            caches = {process: process.cache(settings) for process in (ahead, behind)}
            shared = {process: process.shared(settings, cache) for process, cache in caches.items()}
            for process in caches:
                process.revocations.current = True
            for step, content in enumerate((f"{self.OLD} {self.NEW}", f"{self.NEW} {self.OLD}", self.NEW)):
                write(file, content)
                await look(ahead)
                for writer, reader in ((ahead, behind), (behind, ahead)):
                    name = f"n{step}{writer is ahead}"
                    token = Token(name)
                    there, here = shared[writer], shared[reader]
                    assert there is not None
                    assert here is not None
                    position = writer.revocations.position
                    there.keep(token, active(sub=name), 0.0, position)
                    await there.close()
                    assert await here.find(token, None) is not None
                    await writer.revoke([(kind.value, name)])
                    for page in [await reader.feed._log.read(reader.revocations.position)]:  # type: ignore[union-attr] # noqa: SLF001 - one reading
                        reader.feed._take_page(page)  # noqa: SLF001 - same
                    assert caches[reader].get(caches[reader].key(token), None) is None
                    assert await here.find(token, None) is None
                await look(behind)
            for process in caches:
                await process.close()

    @pytest.mark.parametrize("content", ["", "no key", f"{OLD} {OLD}", OTHER])
    async def test_a_file_that_cannot_be_used_changes_nothing(self, tmp_path: Path, file: Path, content: str) -> None:
        """Nor one with no key in common with the one before: notices of one process would not reach another."""
        process = sharing(tmp_path, redis="redis://127.0.0.1:1", keys={"file": file.name})
        cache = process.cache(settings_of_main(tmp_path))
        first = cache.key(Token("t"))
        write(file, content)
        await look(process)
        assert cache.key(Token("t")) == first
        observer = process._observer  # noqa: SLF001 - what was composed
        assert isinstance(observer, RecordingObserver)
        assert [(event.what.value, event.subject) for event in observer.happenings] == [
            ("secret_unreadable", "shared_cache")
        ]
        await process.close()

    async def test_keys_of_the_environment_and_of_one_process_stay(self, tmp_path: Path) -> None:
        """There is nothing to look at."""
        for process in (sharing(tmp_path), sharing(tmp_path, redis="redis://127.0.0.1:1")):
            cache = process.cache(settings_of_main(tmp_path))
            first = cache.key(Token("t"))
            await look(process)
            assert cache.key(Token("t")) == first
            await process.close()
