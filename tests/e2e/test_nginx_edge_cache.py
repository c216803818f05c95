"""The edge cache of gateway/nginx.conf on a real NGINX, in front of a running extauthz: what it keeps, for whom, how long.

Each test runs on three of them: the file with its lines for the edge cache; the same where everything around it is set
as badly as can be; and with the digest made by njs, as the page says.
"""

import re
import secrets
import stat
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extauthz.cli.processes import free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from support.gateways import GATEWAY_FILES
from support.http1 import exchange
from support.nginx import HOST, SECRET_FILE, Change, Changes, Site, nginx, with_edge_cache, write_secret
from support.running import Running, running
from support.serving import wait_until
from support.stub_server import AUDIENCE, Reply, StubServer, active, raw

PAGE = Path(__file__).parents[2] / "docs/gateways/nginx.md"
SHIPPED = GATEWAY_FILES / "nginx.conf"
POLICY = f"""
version: 1
defaults: {{authorization_server: main, audience: {AUDIENCE}}}
routes:
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: items, path: /items/**, methods: [GET, HEAD, POST], scopes: [orders:read], edge_cache: 60s}}
  - {{name: admin, path: /admin, scopes: [admin], edge_cache: 60s}}
  - {{name: brief, path: /brief, scopes: [], edge_cache: 1s}}
  - {{name: fresh, path: /fresh, scopes: [], freshness: 3s, edge_cache: 1s}}
  - {{name: live, path: /live, scopes: [], freshness: live}}
  - {{name: unkept, path: /unkept, scopes: []}}
  - {{name: tenant, host: "*.tenant.example.com", path: /items/**, scopes: [tenant], edge_cache: 60s}}
"""
DECISIONS = re.compile(r"^extauthz_decisions_total\{[^}]*\} ([0-9.]+)$", re.MULTILINE)
LIFETIME_SECONDS = 2.1
"""After it, an answer with `max-age=1` is gone, whenever in a second it came."""

FRESH_SECONDS = 3.1
"""After it, extauthz asks again about a token of a route with `freshness: 3s`."""

AROUND: Change = (
    "server_tokens off;",
    """server_tokens off;
    proxy_cache_valid any 1m;
    proxy_cache_use_stale error timeout updating http_403 http_500 http_502 http_503 http_504;
    proxy_cache_background_update on;
    proxy_cache_revalidate on;
    proxy_cache_lock on;
    proxy_ignore_headers Cache-Control Vary Set-Cookie;
    """,
)
"""What an operator may have set for other locations: none of it is to hold where extauthz is asked."""


@dataclass
class Edge:
    """Everything that stands around the gateways."""

    stub: StubServer
    service: Running
    app: Upstream
    sites: dict[str, Site]
    tokens: list[str] = field(default_factory=list)

    def token(self, **members: Any) -> str:  # noqa: ANN401 - any JSON value
        """A new token; by default one that may read items."""
        token = f"canary-{secrets.token_hex(16)}"
        self.stub.replies[token] = lambda: active(**members)
        self.tokens.append(token)
        return token

    def revoke(self, token: str) -> None:
        """From now on it is nobody's."""
        self.stub.replies[token] = lambda: raw(b'{"active":false}')

    def asked(self) -> int:
        """How many decisions extauthz has made."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.service.ops}/metrics", timeout=30) as answer:
            return int(sum(map(float, DECISIONS.findall(answer.read().decode()))))

    @contextmanager
    def asks(self, times: int) -> Iterator[None]:
        """Within, extauthz is asked so often."""
        before = self.asked()
        yield
        assert self.asked() - before == times

    def subject(self) -> list[str]:
        """Who sent the last request, as the application heard it."""
        return self.app.received[-1].values("X-Auth-Sub")


def with_njs(folder: Path) -> list[Change]:
    """What docs/gateways/nginx.md says to do without set-misc."""
    blocks = dict(re.findall(r"```(js|nginx)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    (folder / "extauthz-edge.js").write_text(blocks["js"])
    load, inside = blocks["nginx"].strip().split("\n", 1)
    loads = "load_module /usr/lib/nginx/modules/{}_module.so;"
    return [
        (loads.format("ndk_http") + "   # not where modules-enabled/*.conf is included already", load),
        (loads.format("ngx_http_set_misc"), ""),
        ("    server_tokens off;", f"    server_tokens off;\n{inside}"),
        ("set_hmac_sha256               $authz_hmac $authz_secret $http_authorization;", ""),
        ("set_encode_hex                $authz_digest $authz_hmac;", ""),
    ]


SITES: dict[str, Changes] = {"as it ships": (), "in bad company": (AROUND,), "njs": with_njs}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    (app_port,) = free_ports(1)
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer({}))
        folder = tmp_path_factory.mktemp("extauthz")
        service = stack.enter_context(running(folder, introspection=stub.url, policy=POLICY))
        app = stack.enter_context(Upstream(app_port))
        sites = {
            name: stack.enter_context(nginx(authorizer=service.gateway, app=app_port, edge_cache=True, changes=changes))
            for name, changes in SITES.items()
        }
        yield Edge(stub=stub, service=service, app=app, sites=sites)


@pytest.fixture(params=SITES)
def site(edge: Edge, request: pytest.FixtureRequest) -> Site:
    return edge.sites[request.param]


def test_how_to_turn_it_on(tmp_path: Path) -> None:
    """The commands of the page, which are those in the head of the file, make a configuration that NGINX takes."""
    commands = re.findall(r"(?m)^(?:sed|\(umask) .*$", PAGE.read_text())
    assert len(commands) == 2
    assert all(f"#   {command}\n" in SHIPPED.read_text() for command in commands)
    config = tmp_path / "nginx.conf"
    config.write_text(SHIPPED.read_text())
    subprocess.run(["sh", "-euc", "\n".join(commands)], cwd=tmp_path, check=True, timeout=90)
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600
    assert config.read_text() == with_edge_cache(SHIPPED.read_text(), "/run/extauthz-edge")
    config.write_text(with_edge_cache(config.read_text()))
    subprocess.run([*nginx_command(config, tmp_path), "-t"], check=True, timeout=90)


class TestARepeatedRequest:
    @pytest.mark.shows("N52")
    def test_is_answered_without_asking(self, edge: Edge, site: Site) -> None:
        """The application sees the same identity as the first time, and the log tells where the answer came from."""
        token = edge.token(sub="alice")
        with edge.asks(1):
            for _ in range(5):
                assert site.status("/items/repeated", token) == 200
                assert edge.subject() == ["alice"]
        wait_until(lambda: len(site.log("/items/repeated")) == 5)
        assert site.log("/items/repeated") == ["MISS", "HIT", "HIT", "HIT", "HIT"]

    def test_may_have_another_query(self, edge: Edge, site: Site) -> None:
        """No rule reads it, and the application gets its own."""
        token = edge.token()
        with edge.asks(1):
            for target in ("/items/1", "/items/1?x=1", "/items/1?x=2&access_token=a", "/items/1?"):
                assert site.status(target, token) == 200
                assert edge.app.received[-1].target == target

    def test_may_not_choose_whether_it_is_looked_up(self, edge: Edge, site: Site) -> None:
        """Neither past the cache, which would be a way to load extauthz, nor into another entry of it."""
        token = edge.token(sub="alice")
        headers = {
            "Cache-Control": "no-cache, no-store, max-age=0",
            "Pragma": "no-cache",
            "If-None-Match": "*",
            "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT",
            "Range": "bytes=0-1",
            "Cookie": "session=1",
            "X-Accel-Expires": "0",
            "X-Original-URI": "/healthz",
            "X-Original-Method": "DELETE",
            "X-Original-Host": "a.tenant.example.com",
            "X-Forwarded-Host": "a.tenant.example.com",
            "X-Auth-Sub": "root",
            "X-Request-Id": "1",
        }
        with edge.asks(1):
            for each in [[], *([header] for header in headers.items())]:
                assert site.ask("/items/1", token, headers=each)[0] == 200
                assert edge.subject() == ["alice"]


@pytest.mark.shows("N50", "N52", "N56")
def test_what_extauthz_says_about_keeping(edge: Edge) -> None:
    """An answer that may be kept has what every answer has, and one line more: for whom."""
    question = [("X-Original-Method", "GET"), ("X-Original-Host", HOST), ("Authorization", f"Bearer {edge.token()}")]
    answers = [
        exchange(edge.service.gateway, "GET", "/nginx", [*question, ("X-Original-URI", target)])[1]
        for target in ("/brief", "/unkept", "/admin")
    ]
    assert [each["cache-control"] for each in answers] == [["max-age=1"], ["no-store"], ["no-store"]]
    assert [each.get("vary") for each in answers] == [["Authorization"], None, None]
    identity = {"x-auth-sub", "x-auth-scope"}
    assert answers[0].keys() == {"content-length", "cache-control", "vary", "x-authz-reason", *identity}
    assert answers[0].keys() - answers[1].keys() == {"vary"}


class TestTheKey:
    """A decision is for one method, scheme, host, path and token, and is given to no other request."""

    @pytest.fixture
    def kept(self, edge: Edge, site: Site) -> str:
        token = edge.token(sub="alice")
        assert site.status("/items/1", token) == 200
        return token

    @pytest.mark.shows("N60")
    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            (("POST", "/items/1"), 200),
            (("HEAD", "/items/1"), 200),
            (("DELETE", "/items/1"), 403),
            (("GET", "/items/2"), 200),
            (("GET", "/items/1/"), 200),
            (("GET", "/items/1%3Fx"), 200),
            (("GET", "/items/%31"), 200),
            (("GET", "/items/x/..%2f1"), 400),
            (("GET", "//items/1"), 400),
            (("GET", "/admin"), 403),
            (("GET", "/admin?/items/1"), 403),
            (("GET", "http://a.tenant.example.com/items/1"), 403),
        ],
    )
    def test_another_request_line_is_another_question(
        self, edge: Edge, site: Site, kept: str, request_line: tuple[str, str], status: int
    ) -> None:
        method, target = request_line
        with edge.asks(1):
            assert site.status(target, kept, method=method) == status
        with edge.asks(0):
            assert site.status("/items/1", kept) == 200

    @pytest.mark.shows("N60")
    def test_another_host_is_another_question(self, edge: Edge, site: Site, kept: str) -> None:
        with edge.asks(2):
            assert site.status("/items/1", kept, host="a.tenant.example.com") == 403
            assert site.status("/items/1", kept, host="b.example.com") == 200
        with edge.asks(0):
            assert site.status("/items/1", kept, host=HOST.upper()) == 200, "hosts have no case"

    @pytest.mark.shows("N60")
    def test_another_token_is_another_question(self, edge: Edge, site: Site, kept: str) -> None:
        poor, other = edge.token(scope="nothing"), edge.token(sub="bob")
        with edge.asks(5):
            assert site.status("/items/1", poor) == 403
            assert site.status("/items/1", "never-issued") == 401
            assert site.status("/items/1", kept[:-1]) == 401
            assert site.status("/items/1", f"{kept}0") == 401
            assert site.status("/items/1", other) == 200
        assert edge.subject() == ["bob"]
        assert site.status("/items/1", kept) == 200
        assert edge.subject() == ["alice"]

    @pytest.mark.shows("N60")
    @pytest.mark.parametrize("credentials", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer ,"])
    def test_no_token_is_never_answered_from_it(
        self, edge: Edge, site: Site, kept: str, credentials: str | None
    ) -> None:
        headers = [] if credentials is None else [("Authorization", credentials)]
        for _ in range(2):
            with edge.asks(1):
                assert site.ask("/items/1", headers=headers)[0] in (400, 401)

    def test_two_tokens_in_one_request_are_refused(self, edge: Edge, site: Site, kept: str) -> None:
        assert site.ask("/items/1", kept, headers=[("Authorization", "Bearer x")])[0] == 400

    def test_a_new_secret_forgets_everything(self, edge: Edge, site: Site, kept: str) -> None:
        """That is how it is emptied: NGINX has no other way."""
        write_secret(site.config.parent, secrets.token_hex(16))
        site.reload()
        with edge.asks(1):
            assert site.status("/items/1", kept) == 200


class TestWhatIsNotKept:
    @pytest.mark.shows("N51", "N53", "N54")
    @pytest.mark.parametrize(
        ("target", "members", "status"),
        [
            ("/admin", {}, 403),
            ("/items/1", {"aud": "https://elsewhere.example.com"}, 401),
            ("/items/1", {"exp": 1}, 401),
            ("/items/1", {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}, 401),
            ("/nowhere", {}, 403),
            ("/items;x=1", {}, 400),
        ],
    )
    def test_a_denial(self, edge: Edge, site: Site, target: str, members: dict[str, Any], status: int) -> None:
        token = edge.token(**members)
        with edge.asks(3):
            assert [site.status(target, token) for _ in range(3)] == [status] * 3

    @pytest.mark.shows("N51")
    def test_a_route_that_does_not_say_so(self, edge: Edge, site: Site) -> None:
        token = edge.token()
        with edge.asks(3):
            assert [site.status("/unkept", token) for _ in range(3)] == [200] * 3

    @pytest.mark.shows("N51")
    def test_a_live_route(self, edge: Edge, site: Site) -> None:
        """The authorization server itself is asked each time, so a revocation holds at once."""
        token = edge.token()
        with edge.asks(3):
            assert [site.status("/live", token) for _ in range(2)] == [200] * 2
            edge.revoke(token)
            assert site.status("/live", token) == 401
        assert edge.stub.calls[token] == 3

    def test_a_token_that_is_about_to_expire(self, edge: Edge, site: Site) -> None:
        token = edge.token(exp=int(time.time()) + 1)
        with edge.asks(2):
            for _ in range(2):
                site.status("/items/1", token)

    def test_a_public_route(self, edge: Edge, site: Site) -> None:
        with edge.asks(4):
            assert [site.status("/healthz", token) for token in ("", "", "x", "x")] == [200] * 4

    @pytest.mark.shows("N53")
    def test_trouble_with_the_authorization_server(self, edge: Edge, site: Site) -> None:
        """It is over as soon as it is over."""
        token = edge.token()
        good = edge.stub.replies[token]
        edge.stub.replies[token] = lambda: Reply(status=500)
        with edge.asks(3):
            assert [site.status("/items/1", token) for _ in range(3)] == [503] * 3
        edge.stub.replies[token] = good
        assert site.status("/items/1", token) == 200


class TestTime:
    @pytest.mark.shows("N60")
    def test_what_is_kept_for_a_second_is_gone_after_two(self, edge: Edge) -> None:
        tokens = {name: edge.token() for name in edge.sites}
        for name, token in tokens.items():
            assert edge.sites[name].status("/brief", token) == 200
        time.sleep(LIFETIME_SECONDS)
        for name, token in tokens.items():
            with edge.asks(1):
                assert edge.sites[name].status("/brief", token) == 200

    @pytest.mark.shows("N52")
    def test_a_revoked_token_is_refused_when_its_freshness_is_over(self, edge: Edge) -> None:
        """The time in our cache and the time at the edge are no more than that together; then nothing old is served."""
        tokens = {name: edge.token() for name in edge.sites}
        for name, token in tokens.items():
            assert edge.sites[name].status("/fresh", token) == 200
            assert "/fresh" in edge.sites[name].kept()
            edge.revoke(token)
        time.sleep(FRESH_SECONDS)
        for name, token in tokens.items():
            with edge.asks(3):
                assert [edge.sites[name].status("/fresh", token) for _ in range(3)] == [401] * 3

    def test_without_extauthz_answers_hold_for_their_time_and_no_longer(
        self, edge: Edge, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Until then nobody notices, afterwards it is 503: no old answer to fall back to, and no new one is kept."""
        folder, token = tmp_path_factory.mktemp("stopped"), edge.token()
        (port,) = free_ports(1)
        with ExitStack() as stack:
            service = stack.enter_context(running(folder, introspection=edge.stub.url, policy=POLICY))
            app = stack.enter_context(Upstream(port))
            sites = [
                stack.enter_context(nginx(authorizer=service.gateway, app=port, edge_cache=True, changes=changes))
                for changes in ((), [AROUND])
            ]
            for site in sites:
                assert site.status("/items/1", token) == site.status("/brief", token) == 200
            service.process.stop()
            for site in sites:
                assert site.status("/items/1", token) == 200
            time.sleep(LIFETIME_SECONDS)
            served = len(app.received)
            for site in sites:
                assert [site.status("/brief", token) for _ in range(3)] == [503] * 3
                assert site.status("/items/2", token) == 503
            assert len(app.received) == served
            service.process.start().wait_for_http(f"http://127.0.0.1:{service.ops}/readyz")
            assert [site.status("/items/2", token) for site in sites] == [200] * 2


class TestTheFolder:
    def test_no_file_holds_a_token_or_the_secret(self, edge: Edge, site: Site) -> None:
        """Nor may anybody else look."""
        assert site.status("/items/secrecy", edge.token()) == 200
        assert "v1 extauthz GET http api.example.com /items/secrecy " in site.kept(), "that is where to look"
        files = [path for path in site.cache.rglob("*") if path.is_file()]
        held = b"".join(path.read_bytes() for path in files)
        (secret,) = re.findall(r'"(.*)"', (site.config.parent / SECRET_FILE).read_text())
        assert not [word for word in (*edge.tokens, "canary", "Bearer", secret) if word.encode() in held]
        modes = Counter(stat.S_IMODE(path.stat().st_mode) for path in (site.cache, *site.cache.rglob("*")))
        assert modes.keys() == {0o700, 0o600}
        assert modes[0o600] == len(files)

    def test_nothing_else_that_nginx_writes_holds_a_token(self, edge: Edge, site: Site) -> None:
        for name in ("access.log", "log"):
            written = (site.config.parent / name).read_text()
            assert not [token for token in edge.tokens if token in written]
