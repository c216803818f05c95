"""Both files are loaded together, or refused together with all of their faults."""

import gc
import stat
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from extauthz.config.faults import ConfigError, Fault
from extauthz.config.load import ServiceConfig, load_service
from extauthz.config.yaml_source import MAX_FILE_BYTES
from extauthz.keyfiles import MAX_SECRET_BYTES

SERVICE = """\
listen:
  gateway: 127.0.0.1:9191
  ops: 127.0.0.1:9192
policy: policy.yaml
authorization_servers:
  main:
    introspection_endpoint: https://as.example.com/oauth2/introspect
    client:
      id: gateway
      secret: {env: CLIENT_SECRET}
    timeout: 500ms
"""

POLICY = """\
version: 1
realm: api
defaults:
  authorization_server: main
  identity_headers: {x-auth-sub: sub}
routes:
  - name: read-orders
    path: /orders/{id}
    methods: [GET]
    scopes: [orders:read]
  - name: health
    path: /healthz
    allow: anonymous
"""

CANARY = "canary-4f1c"
ENVIRONMENT = {"CLIENT_SECRET": CANARY, "EMPTY": "", "LINES": "a\nb"}

SECOND_SERVER = """\
    timeout: 500ms
  other:
    introspection_endpoint: https://other.example.com/introspect
    client: {id: gateway, secret: {env: CLIENT_SECRET}}
"""


class Mistake(NamedTuple):
    """What is replaced, what with, where the fault then is, words of its message, what it supposes to be meant."""

    old: str
    new: str
    at: str
    words: str
    hint: str


SERVICE_FAULTS = [
    Mistake("listen:", "lisen:", "1:1", "unknown key", "listen"),
    Mistake("policy: policy.yaml\n", "", "1:1", "policy is missing: write policy: policy.yaml", ""),
    Mistake("policy: policy.yaml", "policy: policies.yaml", "4:9", "this file does not exist", ""),
    Mistake("policy: policy.yaml", "policy: .", "4:9", "this is a folder", ""),
    Mistake("policy: policy.yaml", "policy: 1", "4:9", "put quotes around it", '"1"'),
    Mistake("policy: policy.yaml", "policy:", "4:8", "nothing is written here", ""),
    Mistake("policy: policy.yaml", "policy: policy.yaml\nworkers: 0", "5:10", "a whole number from 1 to 256", ""),
    Mistake("policy: policy.yaml", "policy: policy.yaml\nbanana: 0", "5:1", "known here are grpc_server, listen", ""),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\nlog: {level: INFO}",
        "5:14",
        "debug, info, warning or error",
        "info",
    ),
    Mistake("policy: policy.yaml", "policy: policy.yaml\nlog: json", "5:6", "a mapping of keys and values", ""),
    Mistake(
        "policy: policy.yaml", "policy: policy.yaml\naudit: {path: stdot}", "5:15", "stdout, stderr, off", "stdout"
    ),
    Mistake(
        "policy: policy.yaml", "policy: policy.yaml\naudit: {sample_allows: 10}", "5:24", "a number from 0 to 1", ""
    ),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\naudit: {rotate: {size: 1MiB}}",
        "5:17",
        "only a file can be rotated",
        "",
    ),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\naudit: {path: ./a, rotate: {size: 1KiB}}",
        "5:35",
        "64KiB or more",
        "",
    ),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\naudit: {path: off, on_loss: deny}",
        "5:29",
        "nothing can be lost",
        "",
    ),
    Mistake("policy: policy.yaml", "policy: policy.yaml\ndrain_delay: 5", "5:14", "write a unit, such as 500ms", ""),
    Mistake("policy: policy.yaml", "policy: policy.yaml\ngrpc_server: grpc", "5:14", "h2corn or grpcio", "grpcio"),
    Mistake("policy: policy.yaml", "policy: policy.yaml\ngrpc_server: grpcio", "2:3", "write grpc: 127.0.0.1:9193", ""),
    Mistake("9192", "9192\n  grpc: 127.0.0.1:9193", "4:9", "take grpc out", ""),
    Mistake("9192", "9192\n  grpc: 127.0.0.1:9191", "4:9", "gateway listens here already", ""),
    Mistake("127.0.0.1:9192", "127.0.0.1:9191", "3:8", "gateway listens here already", ""),
    Mistake("127.0.0.1:9191", "localhost:9191", "2:12", "an address is 127.0.0.1:9191", "127.0.0.1:9191"),
    Mistake("  ops: 127.0.0.1:9192\n", "", "1:1", "ops is missing: write ops: 127.0.0.1:9192", ""),
    Mistake(
        "policy: policy.yaml", "policy: policy.yaml\ntrusted_proxies: 10.0.0.0/8", "5:18", "a list", "[10.0.0.0/8]"
    ),
    Mistake(
        "policy: policy.yaml", "policy: policy.yaml\ntrusted_proxies: [10.0.0.1/8]", "5:19", "a range", "10.0.0.0/8"
    ),
    Mistake("policy: policy.yaml", "policy: policy.yaml\ntrusted_proxies: ['::/0']", "5:19", "trusts every host", ""),
    Mistake(
        "policy: policy.yaml", "policy: policy.yaml\ntrusted_proxies: [0.0.0.0/0]", "5:19", "trusts every host", ""
    ),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\ntls: {certificate: a, key: policy.yaml}",
        "5:20",
        "does not exist",
        "",
    ),
    Mistake(
        "policy: policy.yaml",
        "policy: policy.yaml\ntls: {certificate: policy.yaml, key: policy.yaml, client_names: [a]}",
        "5:65",
        "until client_ca: says who",
        "",
    ),
    Mistake(
        "127.0.0.1:9191\n  ops: 127.0.0.1:9192\npolicy: policy.yaml",
        "unix:/x\n  ops: 127.0.0.1:9192\npolicy: policy.yaml\ntls: {certificate: policy.yaml, key: policy.yaml}",
        "5:6",
        "a Unix socket is guarded by socket.mode",
        "",
    ),
    Mistake("https://as", "http://as", "7:29", "use https here", ""),
    Mistake("https://as", "https://me:pw@as", "7:29", "no user name or password", ""),
    Mistake("/introspect\n", "/introspect?key=x\n", "7:29", "before ? or #", ""),
    Mistake("    introspection_endpoint", "    introspection_endpont", "7:5", "unknown key", "introspection_endpoint"),
    Mistake(
        "    introspection_endpoint: https://as.example.com/oauth2/introspect\n",
        "",
        "6:3",
        "introspection_endpoint: h",
        "",
    ),
    Mistake("      id: gateway\n", "", "8:5", "id is missing: write id: gateway", ""),
    Mistake("      secret: {env: CLIENT_SECRET}\n", "", "8:5", "secret is missing: write secret: {file", ""),
    Mistake("{env: CLIENT_SECRET}", CANARY, "10:15", "write {file: …} or {env: …}: secrets do not belong", ""),
    Mistake("{env: CLIENT_SECRET}", "{env: A, file: b}", "10:21", "either file: and a path, or env:", ""),
    Mistake("{env: CLIENT_SECRET}", "{}", "10:15", "either file: and a path, or env:", ""),
    Mistake("{env: CLIENT_SECRET}", "{env: no such name}", "10:21", "the name of an environment variable", ""),
    Mistake("{env: CLIENT_SECRET}", "{env: NOT_SET}", "10:21", "this environment variable is not set", ""),
    Mistake("{env: CLIENT_SECRET}", "{env: EMPTY}", "10:21", "the secret is empty", ""),
    Mistake("{env: CLIENT_SECRET}", "{env: LINES}", "10:21", "a second line or a control character", ""),
    Mistake("{env: CLIENT_SECRET}", "{file: nowhere}", "10:22", "this file does not exist", ""),
    Mistake("{env: CLIENT_SECRET}", "{file: .}", "10:22", "this is a folder", ""),
    Mistake("{env: CLIENT_SECRET}\n", "{env: CLIENT_SECRET}\n      auth: basic\n", "11:13", "client_secret_basic,", ""),
    Mistake(
        "{env: CLIENT_SECRET}\n",
        "{env: CLIENT_SECRET}\n      auth: client_secret_pot\n",
        "11:13",
        "write",
        "client_secret_post",
    ),
    Mistake("500ms", "500", "11:14", "write a unit, such as 500ms", ""),
    Mistake("500ms", "500 ms", "11:14", "a number with a unit", "500ms"),
    Mistake("500ms", "1m", "11:14", "from 10ms to 30s", ""),
    Mistake("500ms", "500ms\n    leeway: 6m", "12:13", "from 0s to 300s", ""),
    Mistake("500ms", "500ms\n    cache: {tll: 1s}", "12:13", "unknown key", "ttl"),
    Mistake("500ms", "500ms\n    cache: {ttl: 1d}", "12:18", "a number with a unit", ""),
    Mistake("500ms", "500ms\n    discovery: true", "6:3", "issuer is missing: write issuer: https://as", ""),
    Mistake("500ms", "500ms\n    discovery: true\n    issuer: http://as.example.com", "12:16", "use https here", ""),
    Mistake("500ms", "500ms\n    issuer: as.example.com", "12:13", "a whole URL", ""),
    Mistake("500ms", "500ms\n    max_connections: 1e3", "12:22", "a whole number from 1 to 10000", ""),
    Mistake("500ms", "500ms\n    token_type_hint: access", "12:22", "access_token or none", "access_token"),
    Mistake("500ms", "500ms\n    unsafe_allow_plain_http: yes", "12:30", "write true or false", ""),
    Mistake("500ms", "500ms\n    timeout: 1s", "12:5", "stands twice here: first on line 11", ""),
    Mistake("500ms", "500ms\n\tleeway: 1s", "12:1", "a tab stands here", ""),
    Mistake(SERVICE[SERVICE.index("  main:") :], "  {}\n", "6:3", "at least one authorization server", ""),
]

POLICY_FAULTS = [
    Mistake("version: 1\n", "", "1:1", "version is missing: write version: 1", ""),
    Mistake("version: 1", "version: 2", "1:10", "write version: 1", ""),
    Mistake("realm: api", "realm: ''", "2:8", "printable", ""),
    Mistake("realm: api", "ralm: api", "2:1", "unknown key", "realm"),
    Mistake("server: main", "server: mian", "4:25", "no authorization server has this name; there is main", "main"),
    Mistake("x-auth-sub: sub", "X-Auth-Sub: sub", "5:22", "lower-case", "x-auth-sub"),
    Mistake("x-auth-sub: sub", "cookie: sub", "5:22", "meaning of its own", ""),
    Mistake("x-auth-sub: sub", "x-auth-sub: SUB", "5:34", "name a claim", "sub"),
    Mistake(POLICY[POLICY.index("routes:") :], "", "1:1", "routes is missing", ""),
    Mistake(POLICY[POLICY.index("routes:") :], "routes: []", "6:9", "at least one route", ""),
    Mistake(POLICY[POLICY.index("routes:") :], "routes: {a: b}", "6:9", "a list", ""),
    Mistake(POLICY[POLICY.index("routes:") :], "routes: [a]", "6:10", "a mapping", ""),
    Mistake("name: health", "name: read-orders", "11:11", "the route on line 7 has this name already", ""),
    Mistake("name: health", "name: Health", "11:11", "a name is lower-case", "health"),
    Mistake("  - name: health\n    path", "  - path", "11:5", "name is missing: write name: read-orders", ""),
    Mistake("    path: /healthz\n", "", "11:5", 'path is missing: write path: "/orders/{id}"', ""),
    Mistake("path: /healthz", "path: healthz", "12:11", "a path starts with /", ""),
    Mistake("path: /healthz", "path: /healthz?x", "12:11", "leave out ?", "/healthz"),
    Mistake("path: /healthz", "path: /*/healthz", "12:11", "write {name} for one segment", ""),
    Mistake("path: /healthz", "path: /healthz\n    host: a:80", "13:11", "without port", ""),
    Mistake("path: /healthz", "path: /healthz\n    host: *.example.com", "13:12", "needs quotes", ""),
    Mistake("allow: anonymous", "allow: anyone", "13:12", "write anonymous", ""),
    Mistake("allow: anonymous", "allow: anonymos", "13:12", "write anonymous", "anonymous"),
    Mistake("    allow: anonymous\n", "", "11:5", "say who may pass", ""),
    Mistake("allow: anonymous", "allow: anonymous\n    scopes: []", "14:13", "either scopes or allow", ""),
    Mistake("allow: anonymous", "allow: anonymous\n    audience: a", "14:15", "take out audience", ""),
    Mistake("allow: anonymous", "allow: anonymous\n    freshness: live", "14:16", "take out freshness", ""),
    Mistake("methods: [GET]", "methods: GET", "9:14", "a list", "[GET]"),
    Mistake("methods: [GET]", "methods: [get]", "9:15", "upper case", "GET"),
    Mistake("methods: [GET]", "methods: []", "9:14", "at least one method", ""),
    Mistake("methods: [GET]", "methods: [GET, PUT, GET]", "9:25", "twice", ""),
    Mistake("methods: [GET]", "method: [GET]", "9:5", "unknown key", "methods"),
    Mistake("scopes: [orders:read]", "scope: [orders:read]", "10:5", "unknown key", "scopes"),
    Mistake("scopes: [orders:read]", "scopes: orders:read", "10:13", "a list", "[orders:read]"),
    Mistake("scopes: [orders:read]", "scopes: a b", "10:13", "a list", "[a, b]"),
    Mistake("scopes: [orders:read]", "scopes: [a b]", "10:14", "one ASCII word", "a, b"),
    Mistake("scopes: [orders:read]", "scopes: [7]", "10:14", "put quotes around it", '"7"'),
    Mistake("scopes: [orders:read]", "scopes: {any_of: [a]}", "10:23", "a list", "[a]"),
    Mistake("scopes: [orders:read]", "scopes: {any_of: [[]]}", "10:23", "write scopes: []", ""),
    Mistake("scopes: [orders:read]", "scopes: {any_of: []}", "10:22", "at least one list", ""),
    Mistake("scopes: [orders:read]", "scopes: {all_of: [a]}", "10:14", "unknown key", "any_of"),
    Mistake("scopes: [orders:read]", "scopes: {}", "10:5", "any_of is missing", ""),
    Mistake("realm: api", "realm: api\nscope_implies: {a: [b], b: [a]}", "3:16", "a implies itself", ""),
    Mistake("realm: api", "realm: api\nscope_implies: {a: b}", "3:20", "a list", "[b]"),
    Mistake("realm: api", "realm: api\nscope_implies: {'a b': [c]}", "3:17", "one ASCII word", "a, b"),
    Mistake("scopes: [orders:read]", "scopes: []\n    actors: []", "11:13", "at least one", ""),
    Mistake("scopes: [orders:read]", "scopes: []\n    require_sub: yes", "11:18", "write true or false", ""),
    Mistake("scopes: [orders:read]", "scopes: []\n    authorization_details: [{}]", "11:29", "type is missing", ""),
    Mistake("allow: anonymous", "allow: anonymous\n    require_sub: true", "14:18", "take out require_sub", ""),
    Mistake("x-auth-sub: sub", ", ".join(f"x-a{n}: sub" for n in range(17)), "5:21", "at most 16", ""),
    Mistake(
        "scopes: [orders:read]",
        "scopes: []\n    freshness: live\n    stale_if_error: 5s",
        "12:21",
        "takes no older answer",
        "",
    ),
    Mistake("allow: anonymous", "allow: anonymous\n    timeout: 1s", "14:14", "take out timeout", ""),
    Mistake("scopes: [orders:read]", "scopes: []\n    freshness: liv", "11:16", "live, default", "live"),
    Mistake("scopes: [orders:read]", "scopes: []\n    edge_cache: 500ms", "11:17", "whole seconds", ""),
    Mistake("scopes: [orders:read]", "scopes: []\n    edge_cache: 10m", "11:17", "from 0s to 300s", ""),
    Mistake(
        "scopes: [orders:read]",
        "scopes: []\n    edge_cache: 5s\n    freshness: live",
        "11:17",
        "longer than freshness",
        "",
    ),
    Mistake("scopes: [orders:read]", "scopes: []\n    authorization_server: min", "11:27", "has this name", "main"),
    Mistake(
        "path: /healthz", "path: /orders/{other}", "12:11", "health and read-orders (line 7) would both decide GET", ""
    ),
]


def write(folder: Path, service: str = SERVICE, policy: str = POLICY) -> Path:
    """Both files in a folder; the path of the first."""
    (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    path = folder / "extauthz.yaml"
    path.write_text(service, encoding="utf-8")
    return path


def refuse(folder: Path, service: str = SERVICE, policy: str = POLICY) -> tuple[Fault, ...]:
    """The faults of two files that must not load."""
    with pytest.raises(ConfigError) as refused:
        load_service(write(folder, service, policy), ENVIRONMENT)
    return refused.value.faults


def check_only_fault(faults: tuple[Fault, ...], file: Path, mistake: Mistake) -> None:
    """There is this one fault and no other."""
    (fault,) = faults
    assert f"{fault.file}:{fault.line}:{fault.column}" == f"{file}:{mistake.at}"
    assert mistake.words in fault.message
    assert fault.hint == mistake.hint
    assert CANARY not in fault.render()


@pytest.mark.shows("S23", "N21")
@pytest.mark.parametrize("mistake", SERVICE_FAULTS, ids=lambda mistake: mistake.new)
def test_each_mistake_in_the_service_has_a_place_and_a_sentence(mistake: Mistake, tmp_path: Path) -> None:
    """One mistake is one fault, where it is, saying what to write."""
    assert mistake.old in SERVICE
    faults = refuse(tmp_path, SERVICE.replace(mistake.old, mistake.new, 1))
    check_only_fault(faults, tmp_path / "extauthz.yaml", mistake)


@pytest.mark.shows("S43", "E8")
@pytest.mark.parametrize("mistake", POLICY_FAULTS, ids=lambda mistake: mistake.new)
def test_each_mistake_in_the_policy_has_a_place_and_a_sentence(mistake: Mistake, tmp_path: Path) -> None:
    """One mistake is one fault, where it is, saying what to write."""
    assert mistake.old in POLICY
    faults = refuse(tmp_path, policy=POLICY.replace(mistake.old, mistake.new, 1))
    check_only_fault(faults, tmp_path / "policy.yaml", mistake)


def test_a_server_has_a_plain_name(tmp_path: Path) -> None:
    """The fault is at the name, which is a key of the operator's own."""
    service = SERVICE.replace("  main:", "  Main:")
    (fault,) = refuse(tmp_path, service, POLICY.replace("  authorization_server: main\n", ""))
    assert (fault.line, fault.column, fault.value, fault.hint) == (6, 3, "Main", "main")


def test_a_key_that_resembles_none_is_told_which_there_are(tmp_path: Path) -> None:
    """Below client without repeating it, together with what is then missing."""
    missing, unknown = refuse(tmp_path, SERVICE.replace("{env: CLIENT_SECRET}", "{var: A}"))
    assert "either file: and a path, or env:" in missing.message
    assert unknown.message == "unknown key: known here are file, env"
    assert unknown.value == ""


def test_two_servers_need_a_choice(tmp_path: Path) -> None:
    """Which server knows a token is not left to chance."""
    service = SERVICE.replace("    timeout: 500ms\n", SECOND_SERVER)
    (fault,) = refuse(tmp_path, service, POLICY.replace("  authorization_server: main\n", ""))
    assert (fault.line, fault.column) == (6, 5)
    assert fault.message.endswith("main, other")


def test_both_files_load_into_one_configuration(tmp_path: Path) -> None:
    """Settings, secrets and rules."""
    config = load_service(write(tmp_path), ENVIRONMENT)
    assert config.settings.listen.gateway.port == 9191
    assert config.policy_path == tmp_path / "policy.yaml"
    assert config.secrets["main"].reveal() == CANARY
    assert [rule.name for rule in config.snapshot.routes.rules] == ["read-orders", "health"]
    rule = config.snapshot.routes.match("GET", "", "/orders/7")
    assert rule is not None
    assert (rule.authorization_server, rule.leeway, rule.realm) == ("main", 60.0, "api")


def test_words_of_norway_stay_words(tmp_path: Path) -> None:
    """A scope named no is a scope."""
    config = load_service(write(tmp_path, policy=POLICY.replace("[orders:read]", "[no, on, 12:30]")), ENVIRONMENT)
    assert config.snapshot.routes.rules[0].alternatives == (frozenset({"no", "on", "12:30"}),)


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_a_secret_file_may_end_with_a_line_break(content: str, tmp_path: Path) -> None:
    """Editors add one; it is not part of the secret."""
    (tmp_path / "secret").write_bytes(content.encode())
    config = load_service(write(tmp_path, SERVICE.replace("env: CLIENT_SECRET", "file: secret")), {})
    assert config.secrets["main"].reveal() == "s3cret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the secret is empty"),
        (b"\n", "the secret is empty"),
        (b"a\n\n", "a second line"),
        (b"\xff", "not UTF-8"),
        (b"a" * (MAX_SECRET_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """An empty secret would otherwise be sent, and refused, with every request."""
    (tmp_path / "secret").write_bytes(content)
    (fault,) = refuse(tmp_path, SERVICE.replace("env: CLIENT_SECRET", "file: secret"))
    assert words in fault.message


def test_a_secret_file_that_may_not_be_read_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator learns that it is the permission."""

    def deny(path: Path, mode: str) -> None:
        raise PermissionError(stat.S_IRUSR, "denied", str(path))

    path = write(tmp_path)
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(ConfigError, match="may not be read by this user"):
        load_service(path, ENVIRONMENT)


def test_a_missing_service_file_is_a_fault(tmp_path: Path) -> None:
    """Like every other fault, with the name of the file."""
    with pytest.raises(ConfigError) as refused:
        load_service(tmp_path / "extauthz.yaml", {})
    assert str(refused.value) == f"{tmp_path / 'extauthz.yaml'}:1:1: this file does not exist"


def test_a_policy_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """No more than one byte too many is read."""
    (fault,) = refuse(tmp_path, policy="#" * (MAX_FILE_BYTES + 1))
    assert "larger than" in fault.message


def test_all_faults_of_both_files_are_reported_at_once(tmp_path: Path) -> None:
    """Schema, secrets, names, servers and ties, in the order of the files."""
    service = (
        SERVICE.replace("gateway: 127.0.0.1:9191", "gateway: localhost:9191")
        .replace("CLIENT_SECRET", "NOT_SET")
        .replace("500ms", "500")
    )
    policy = (
        POLICY.replace("version: 1", "version: 2")
        .replace("server: main", "server: mian")
        .replace("[GET]", "[get]")
        .replace("allow: anonymous", "allow: anonymous\n  - {name: health, path: /healthz, scopes: []}\n  - x")
    )
    faults = refuse(tmp_path, service, policy)
    assert [(Path(fault.file).name, fault.line) for fault in faults] == [
        ("extauthz.yaml", 2),
        ("extauthz.yaml", 10),
        ("extauthz.yaml", 11),
        ("policy.yaml", 1),
        ("policy.yaml", 4),
        ("policy.yaml", 9),
        ("policy.yaml", 14),
        ("policy.yaml", 14),
        ("policy.yaml", 15),
    ]


LEAKS = [
    SERVICE.replace("{env: CLIENT_SECRET}", CANARY),
    SERVICE.replace("{env: CLIENT_SECRET}", f"\n        {CANARY}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"|\n        {CANARY}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"[{CANARY}]"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"{{value: {CANARY}}}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"{{{CANARY}}}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"{{file: {CANARY}}}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"{{env: {CANARY}}}"),
    SERVICE.replace("{env: CLIENT_SECRET}", "{env: 4111111111}").replace("4111111111", CANARY.replace("-", "_")),
    SERVICE.replace("{env: CLIENT_SECRET}", f"'{CANARY}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"!vault {CANARY}"),
    SERVICE.replace("{env: CLIENT_SECRET}", f"a: {CANARY}"),
    SERVICE.replace("secret: {env: CLIENT_SECRET}", f"secrt: {CANARY}"),
    SERVICE.replace("secret: {env: CLIENT_SECRET}", f"client_secret: {CANARY}"),
    SERVICE.replace("secret: {env: CLIENT_SECRET}", f"password: {CANARY}"),
    SERVICE.replace("id: gateway", f"{CANARY}: gateway"),
    SERVICE.replace("id: gateway", f"id: [{CANARY}]"),
    SERVICE.replace("id: gateway", f"auth: {CANARY}"),
    SERVICE.replace("    timeout", f"    client_secret: {CANARY}\n    timeout"),
    SERVICE + f"secret: {CANARY}\n",
    SERVICE + f"client: {{secret: {CANARY}}}\n",
    SERVICE.replace("https://as", f"https://gateway:{CANARY}@as"),
    SERVICE.replace("https://as", f"https//gateway:{CANARY}@as"),
    SERVICE.replace("oauth2/introspect", f"introspect?key={CANARY}"),
    SERVICE.replace("    timeout: 500ms", f"    issuer: https://gateway:{CANARY}@as.example.com"),
    SERVICE[: SERVICE.index("    client:")] + f"    client: {CANARY}\n",
    SERVICE[: SERVICE.index("    client:")] + f"    client: gateway:{CANARY}\n",
    SERVICE[: SERVICE.index("    client:")] + f"    client: [gateway, {CANARY}]\n",
    SERVICE[: SERVICE.index("    client:")] + f"    client: {{gateway:{CANARY}}}\n",
    SERVICE[: SERVICE.index("    client:")] + f"    client: {{id: gateway, secret: {CANARY}, auth: basic}}\n",
    SERVICE[: SERVICE.index("    client:")] + f"    clent: {{id: gateway, secret: {CANARY}}}\n",
    SERVICE[: SERVICE.index("  main:")] + f"  main: {{client: {{secret: {CANARY}}}, timeout: 1, x: 2, issuer: a}}\n",
    SERVICE[: SERVICE.index("  main:")] + f"  main: {{client: {{secret: {CANARY}}}, <<: {{}}, leeway: !x 1}}\n",
    SERVICE[: SERVICE.index("  main:")] + f"  main: {CANARY}\n",
]


@pytest.mark.parametrize("service", LEAKS)
def test_a_secret_in_the_wrong_place_is_never_repeated(service: str, tmp_path: Path) -> None:
    """Neither in the message nor in the traceback: terminals and logs remember."""
    with pytest.raises(ConfigError) as refused:
        load_service(write(tmp_path, service), {})
    told = [str(refused.value), repr(refused.value.faults), *traceback.format_exception(refused.value)]
    assert not [text for text in told if CANARY in text or CANARY.replace("-", "_") in text]


def test_a_configuration_that_is_printed_shows_no_secret(tmp_path: Path) -> None:
    """Its representation is safe to log."""
    assert CANARY not in repr(load_service(write(tmp_path), ENVIRONMENT))


def many_routes(count: int) -> str:
    """A policy with this many routes."""
    route = "  - {{name: r{0}, path: '/s{0}/orders/{{id}}', methods: [GET], scopes: {{any_of: [[a:{0}], [b]]}}}}\n"
    return "version: 1\nroutes:\n" + "".join(route.format(number) for number in range(count))


def test_a_thousand_routes_are_loaded_whole(tmp_path: Path) -> None:
    """Each with its own rule; how long that takes is measured in bench/."""
    path = write(tmp_path, policy=many_routes(1000))
    assert len(load_service(path, ENVIRONMENT).snapshot.routes.rules) == 1000


def test_loading_leaves_the_collector_as_it_was(tmp_path: Path) -> None:
    """Also when it fails."""
    refuse(tmp_path, SERVICE + "x: 1\n")
    assert gc.isenabled()
    gc.disable()
    try:
        load_service(write(tmp_path), ENVIRONMENT)
        assert not gc.isenabled()
    finally:
        gc.enable()


def load_examples(environ: Mapping[str, str]) -> ServiceConfig:
    """The files that we publish."""
    return load_service(Path(__file__).parents[3] / "examples" / "extauthz.yaml", environ)


def test_our_examples_load() -> None:
    """What we publish is right, down to the last key."""
    config = load_examples({"EXTAUTHZ_CLIENT_SECRET": CANARY})
    assert config.snapshot.routes.rules
    assert [secret.reveal() for secret in config.secrets.values()] == [CANARY]


def test_our_examples_ask_for_the_secret() -> None:
    """It is in none of the files."""
    with pytest.raises(ConfigError, match="this environment variable is not set"):
        load_examples({})


def test_a_candidate_is_loaded_beside_the_policy(tmp_path: Path) -> None:
    """And judged by the same servers."""
    (tmp_path / "candidate.yaml").write_text(POLICY.replace("read-orders", "candidate"))
    loaded = load_service(write(tmp_path, SERVICE + "candidate: candidate.yaml\n"), ENVIRONMENT)
    assert loaded.snapshot.routes.rules[0].name == "read-orders"
    assert loaded.snapshot.candidate is not None
    assert loaded.snapshot.candidate.routes.rules[0].name == "candidate"
    assert load_service(write(tmp_path), ENVIRONMENT).snapshot.candidate is None


def test_a_fault_of_the_candidate_is_a_fault(tmp_path: Path) -> None:
    """At its place, like one of the policy."""
    (tmp_path / "candidate.yaml").write_text(POLICY.replace("methods", "method"))
    (fault,) = refuse(tmp_path, SERVICE + "candidate: candidate.yaml\n")
    assert (fault.file, fault.line) == (str(tmp_path / "candidate.yaml"), 9)
    (fault,) = refuse(tmp_path, SERVICE + "candidate: nothing.yaml\n")
    assert (fault.file, fault.line) == (str(tmp_path / "extauthz.yaml"), 12)


def test_all_files_that_were_read_are_known(tmp_path: Path) -> None:
    """So that they can be watched."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "more.yaml").write_text("version: 1\nroutes: [{name: m, path: /m, scopes: []}]")
    (tmp_path / "candidate.yaml").write_text(POLICY)
    path = write(tmp_path, SERVICE + "candidate: candidate.yaml\n", f"{POLICY}include: [parts/*.yaml]\n")
    loaded = load_service(path, ENVIRONMENT)
    names = ["extauthz.yaml", "policy.yaml", "parts", "parts/more.yaml", "candidate.yaml"]
    assert {tmp_path / name for name in names} <= set(loaded.seen)
