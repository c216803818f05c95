"""The sections `shared_cache` and `ops`: where, how safely, and with which secrets."""

import re
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from extauthz.config.faults import ConfigError, Fault
from extauthz.config.load import ServiceConfig, load_service
from extauthz.config.sharing import RedisUrl, SharedCache

KEYS = {"keys": {"env": "KEYS"}}
CANARY = "canary-4f1c-password"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
ENVIRONMENT = {"CLIENT_SECRET": "s", "KEYS": b64encode(KEY).decode(), "PASSWORD": CANARY, "SHORT": "0123456789abcde"}

SERVICE = """\
listen: {gateway: 127.0.0.1:9191, ops: 127.0.0.1:9192}
policy: policy.yaml
authorization_servers:
  main:
    introspection_endpoint: https://as.example.com/oauth2/introspect
    client: {id: gateway, secret: {env: CLIENT_SECRET}}
"""


def read(**section: object) -> SharedCache:
    return SharedCache.model_validate(KEYS | section)


def refusal(**section: object) -> str:
    with pytest.raises(ValidationError) as refused:
        read(**section)
    return str(refused.value)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("rediss://Redis.example.com:6380/3", RedisUrl(host="redis.example.com", port=6380, database=3, tls=True)),
        ("rediss://redis", RedisUrl(host="redis", port=6379, tls=True)),
        ("rediss://redis/", RedisUrl(host="redis", port=6379, tls=True)),
        ("redis://127.0.0.1:6379/0", RedisUrl(host="127.0.0.1", port=6379)),
        ("redis://localhost", RedisUrl(host="localhost", port=6379)),
        ("redis://[::1]:7000", RedisUrl(host="::1", port=7000)),
        ("unix:///run/redis/redis.sock", RedisUrl(path="/run/redis/redis.sock")),
    ],
)
def test_an_address_is_read(written: str, url: RedisUrl) -> None:
    """With the usual port and the first database unless it says otherwise; as text or as a list of one."""
    assert read(redis=written).redis == read(redis=[written]).redis == (url,)


@pytest.mark.parametrize(
    "written",
    [
        *("", "redis", "redis://", "http://redis:6379", "redis.example.com:6379", "rediss://redis:0", "unix:relative"),
        *(
            "rediss://redis:65536",
            "rediss://redis:6379/x",
            "rediss://redis:6379/0?ssl=no",
            "unix://",
            6379,
            None,
            [],
            {},
        ),
        *("rediss://red is:6379", "rediss://redis:6379/0#x", "unix:///a?db=1", ["rediss://a", 1]),
    ],
)
def test_anything_else_is_no_address(written: object) -> None:
    """Nothing is guessed."""
    assert refusal(redis=written)


@pytest.mark.parametrize("written", [f"rediss://user:{CANARY}@redis:6379/0", f"redis://:{CANARY}@127.0.0.1"])
def test_a_url_carries_no_password(written: str) -> None:
    """It would stand in the file, and in whatever shows the URL."""
    message = refusal(redis=written)
    assert "username: and password:" in message
    assert CANARY not in message


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"redis": ["rediss://a", "rediss://b"]}, "mode: sentinel or mode: cluster"),
        ({"mode": "cluster", "redis": "unix:///run/redis.sock"}, "one Redis only"),
        ({"mode": "sentinel", "service": "main", "redis": "unix:///run/redis.sock"}, "one Redis only"),
        ({"mode": "cluster", "redis": "rediss://a/1"}, "no databases"),
        ({"mode": "cluster", "redis": ["rediss://a", "redis://127.0.0.1"]}, "alike"),
        ({"mode": "sentinel", "service": "main", "redis": ["rediss://a/1", "rediss://b/2"]}, "alike"),
        ({"mode": "sentinel", "redis": "rediss://a"}, "service is missing"),
        ({"service": "main", "redis": "rediss://a"}, "only Sentinels"),
        ({"redis": "redis://redis.example.com"}, "use rediss here"),
        ({"redis": "redis://10.0.0.1"}, "use rediss here"),
        ({"redis": "rediss://a", "prefix": "a:b"}, "a prefix is"),
        ({"redis": "rediss://a", "password": "secret"}, "secrets do not belong in this file"),
        ({"redis": "rediss://a", "keys": "secret"}, "secrets do not belong in this file"),
        ({"redis": "rediss://a", "timeout": "0s"}, "from 10ms"),
    ],
)
def test_what_does_not_fit_together_is_refused(section: dict[str, object], words: str) -> None:
    """Each with a sentence."""
    assert words in refusal(**section)


def test_plain_text_to_another_host_is_the_operators_own_decision() -> None:
    """It has an unsafe name."""
    assert read(redis="redis://redis.example.com", unsafe_allow_plain_text=True).redis[0].tls is False


def test_several_addresses_belong_to_sentinels_or_to_a_cluster() -> None:
    """All alike."""
    urls = ["rediss://a:26379", "rediss://b:26379"]
    assert len(read(mode="sentinel", service="main", redis=urls).redis) == 2
    assert len(read(mode="cluster", redis=urls).redis) == 2


def load(folder: Path, more: str = "") -> ServiceConfig:
    """Both files in a folder."""
    (folder / "policy.yaml").write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
    path = folder / "extauthz.yaml"
    path.write_text(SERVICE + more)
    return load_service(path, ENVIRONMENT)


def faults(folder: Path, more: str) -> tuple[Fault, ...]:
    """Of two files that must not load."""
    with pytest.raises(ConfigError) as refused:
        load(folder, more)
    assert CANARY not in str(refused.value)
    return refused.value.faults


def section(keys: str = "{env: KEYS}", more: str = "") -> str:
    return f"shared_cache: {{redis: 'redis://127.0.0.1', keys: {keys}{more}}}\n"


class TestKeys:
    """Keys of 32 bytes, of which the first seals."""

    @pytest.mark.parametrize(
        "text",
        [
            b64encode(KEY).decode(),
            urlsafe_b64encode(KEY).decode() + "\n",
            KEY.hex(),
            KEY.hex().upper() + "\r\n",
            f"\n  {KEY.hex()}\n\n",
        ],
    )
    def test_a_file_has_one_a_line(self, tmp_path: Path, text: str) -> None:
        """In base64 or hexadecimal; blank lines do not matter."""
        (tmp_path / "keys").write_text(text)
        assert load(tmp_path, section("{file: keys}")).own.shared_keys == (KEY,)
        (tmp_path / "keys").write_text(f"{text}\n{b64encode(OTHER_KEY).decode()}\n")
        assert load(tmp_path, section("{file: keys}")).own.shared_keys == (KEY, OTHER_KEY)

    def test_a_variable_has_them_between_blanks(self, tmp_path: Path) -> None:
        """As many as a file."""
        assert load(tmp_path, section()).own.shared_keys == (KEY,)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "there is no key here: make one with openssl rand -base64 32"),
            ("\n\n", "there is no key here"),
            (b64encode(KEY[:31]).decode(), "key 1 is not 32 bytes"),
            (f"{KEY.hex()}\n{CANARY}", "key 2 is not 32 bytes"),
            (f"{KEY.hex()}\n# a comment", "key 2 is not 32 bytes"),
            (f"{KEY.hex()}\n{b64encode(KEY).decode()}", "a key stands here twice"),
            (b64encode(KEY).decode().rstrip("="), "key 1 is not 32 bytes"),
        ],
    )
    def test_anything_else_is_a_fault_that_repeats_nothing(self, tmp_path: Path, text: str, words: str) -> None:
        """Half a key would be a weak one."""
        (tmp_path / "keys").write_text(text)
        (fault,) = faults(tmp_path, section("{file: keys}"))
        assert words in fault.message
        assert KEY.hex() not in fault.render()

    def test_without_keys_there_is_no_shared_cache(self, tmp_path: Path) -> None:
        """Values are sealed, or they are not shared."""
        (fault,) = faults(tmp_path, "shared_cache: {redis: 'redis://127.0.0.1'}\n")
        assert fault.message == "keys is missing: write keys: {file: /run/secrets/cache-keys}"


class TestSecrets:
    """From files and variables, each with its fault."""

    def test_they_are_read(self, tmp_path: Path) -> None:
        """And print nothing."""
        more = ", mode: sentinel, service: main, password: {env: PASSWORD}, sentinel_password: {file: secret}"
        (tmp_path / "secret").write_text("0123456789abcdef\n")
        config = load(tmp_path, section(more=more) + "ops: {token: {file: secret}}\n")
        own = config.own
        found = (own.redis_password, own.sentinel_password, own.ops_token)
        assert [secret.reveal() for secret in found if secret] == [CANARY, "0123456789abcdef", "0123456789abcdef"]
        assert CANARY not in repr(config)
        assert repr(KEY) not in repr(config)

    def test_without_these_sections_there_are_none(self, tmp_path: Path) -> None:
        """Nothing is shared, and nobody may revoke."""
        own = load(tmp_path).own
        assert (own.shared_keys, own.redis_password, own.sentinel_password, own.ops_token) == ((), None, None, None)

    @pytest.mark.parametrize(
        ("more", "at", "words"),
        [
            (section("{env: UNSET}"), "UNSET", "this environment variable is not set"),
            (section("{file: missing}"), "missing", "this file does not exist"),
            (section(more=", password: {file: missing}"), "missing", "this file does not exist"),
            ("ops: {token: {env: UNSET}}\n", "UNSET", "this environment variable is not set"),
            ("ops: {token: {env: SHORT}}\n", "{env", "16 characters or more"),
            (f"ops: {{token: {CANARY}}}\n", CANARY, "secrets do not belong in this file"),
            (section(more=f", password: {CANARY}"), CANARY, "secrets do not belong in this file"),
            (section(more=f", pasword: {CANARY}"), "pasword", "unknown key"),
            (section(more=", tls: {ca: missing.pem}"), "{ca", "this file does not exist"),
        ],
    )
    def test_each_that_cannot_be_read_is_a_fault_at_its_place(
        self, tmp_path: Path, more: str, at: str, words: str
    ) -> None:
        """Without repeating what was written."""
        (fault,) = faults(tmp_path, more)
        assert words in fault.message
        assert (fault.line, fault.column) == (7, more.index(at) + 1)


def test_the_example_in_the_documentation_is_good() -> None:
    """As it stands there."""
    text = (Path(__file__).parents[3] / "docs" / "caching.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    cache = SharedCache.model_validate(yaml.safe_load(example)["shared_cache"])
    assert cache.redis[0].tls
