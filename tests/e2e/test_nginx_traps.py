"""Ways to open an NGINX by mistake, each on a real one.

For each trap, gateway/nginx.conf is changed as somebody may well change it: then the hole is there for all to see, the
shipped file does not have it, and `extauthz doctor --nginx` names the line and what to write instead.
"""

import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from extauthz.cli.doctor import doctor
from extauthz.cli.processes import free_ports
from extauthz.cli.upstream import Received, Upstream
from support.nginx import Change, Site, nginx
from support.running import running
from support.stub_server import AUDIENCE, StubServer, active

ASK = "auth_request     /_extauthz;"
LOCATION = "location = /_extauthz {"
DENIED = "error_page 401 403 500 @denied;"
NAMED = "location @denied {"
APP = "proxy_pass http://app;"
POLICY = f"""
version: 1
defaults: {{authorization_server: main, audience: {AUDIENCE}}}
routes:
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: orders, path: "/orders/{{id}}", methods: [GET, POST], scopes: [orders:read], edge_cache: 60s}}
  - {{name: admin, path: /admin, scopes: [admin]}}
  - {{name: brief, path: /brief, scopes: [], freshness: 3s, edge_cache: 1s}}
  - {{name: live, path: /live, scopes: [], freshness: live}}
"""
FORGED = ("X-Auth-Sub", "root")
OPEN = "location = /gateway-health passes requests on unchecked"
"""What the doctor says about the one location that the shipped file leaves open on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """One mistake.

    Attributes:
        changes: what is written otherwise than in the shipped file.
        check: the word by which the doctor knows it.
        target: what a client without a token asks for.
        headers: what it sends along.
        down: whether extauthz has to be down for it.
        hole: what the application should never have got.
        refused: the status with the shipped file; 200 where the request may pass, without the hole.
        doubtful: whether it may be meant so, which is a warning to the doctor.
    """

    changes: tuple[Change, ...]
    check: str
    target: str = "/orders/1"
    headers: tuple[tuple[str, str], ...] = ()
    down: bool = False
    hole: Callable[[Received], object] = lambda _: True
    refused: int = 401
    doubtful: bool = False


TRAPS = {
    "a query behind the name": Trap(changes=((ASK, "auth_request /_extauthz?scope=x;"),), check="auth-uri"),
    "a typo in the name": Trap(changes=((ASK, "auth_request /_extautz;"),), check="auth-uri"),
    "the location was renamed": Trap(changes=((LOCATION, "location = /_authz {"),), check="auth-uri"),
    "the question switched off, and so in all that is inside": Trap(
        changes=((ASK, f"{ASK} location /orders/ {{ auth_request off; location ~ [0-9] {{ {APP} }} }}"),),
        check="unchecked",
    ),
    "one of several opinions": Trap(
        changes=((ASK, f"{ASK} satisfy any; allow 127.0.0.0/8; deny all;"),), check="satisfy"
    ),
    "a password instead": Trap(
        changes=((ASK, f"{ASK} satisfy any; auth_basic staff; auth_basic_user_file users;"),),
        check="satisfy",
        headers=(("Authorization", "Basic c3RhZmY6c3RhZmY="),),
    ),
    "a failure made a success": Trap(
        changes=(
            (LOCATION, f"location = /sorry {{ internal; return 200; }} {LOCATION} error_page 502 504 =200 /sorry;"),
        ),
        check="auth-error-page",
        down=True,
        refused=503,
    ),
    "a failure made a success, from outside": Trap(
        changes=(("recursive_error_pages on;", "recursive_error_pages on; error_page 502 504 =200 /50x.html;"),),
        check="auth-error-page",
        down=True,
        refused=503,
    ),
    "a page that says sorry in place of extauthz": Trap(
        changes=(
            ("keepalive 64;", "keepalive 64; server unix:sorry.sock backup;"),
            (
                "    server {\n        listen",
                "    server { listen unix:sorry.sock; return 200; }\n    server {\n        listen",
            ),
        ),
        check="auth-backup",
        down=True,
        refused=503,
        doubtful=True,
    ),
    "a denial that leads to the application": Trap(
        changes=((DENIED, "error_page 401 403 500 = @app;"), (NAMED, f"location @app {{ {APP} }} {NAMED}")),
        check="unchecked",
    ),
    "a denial that leads to the application, by a path": Trap(
        changes=(
            (DENIED, "error_page 401 403 500 = /raw/;"),
            (NAMED, f"location /raw/ {{ internal; {APP} }} {NAMED}"),
        ),
        check="unchecked",
    ),
    "a location without the question": Trap(
        changes=((NAMED, f"location /orders/ {{ {APP} }} {NAMED}"),), check="unchecked"
    ),
    "an open path passed on as it was written": Trap(
        changes=(("proxy_pass http://app/gateway-health;", APP),),
        check="unchecked",
        target="/orders/..%2fgateway-health",
        hole=lambda received: received.target.startswith("/orders/"),
        refused=200,
    ),
    "the decoded path is judged": Trap(
        changes=((ASK, f"set $judged $uri; {ASK}"), ("X-Original-URI    $authz_path;", "X-Original-URI $judged;")),
        check="auth-raw-uri",
        target="/orders/..%2fhealthz",
        refused=400,
    ),
    "a header of its own": Trap(
        changes=((APP, f"proxy_set_header X-Request-Id $request_id; {APP}"),),
        check="identity-headers",
        target="/healthz",
        headers=(FORGED,),
        hole=lambda received: received.values("X-Auth-Sub") == ["root"],
        refused=200,
    ),
    "headers with underscores": Trap(
        changes=(("underscores_in_headers off;", "underscores_in_headers on;"),),
        check="no-twins",
        target="/healthz",
        headers=(("X_Auth_Sub", "root"),),
        hole=lambda received: received.values("X_Auth_Sub"),
        refused=200,
    ),
}
"""Holes that let a client without a token through, or in with an identity of its own choice."""

ANSWERS: dict[str, str] = {
    "an answer before the question": "return 200;",
    "an answer on a condition": "if ($request_method = GET) { return 200; }",
    "a permanent redirect": "rewrite ^ https://elsewhere.example.com/ permanent;",
    "a redirect": "rewrite ^ https://elsewhere.example.com/ redirect;",
}
"""Lines in a location that NGINX obeys before it asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """A running extauthz, and whom it asks."""

    stub: StubServer
    port: int

    def token(self, **members: Any) -> str:  # noqa: ANN401 - any JSON value
        """A new token; by default one that may read orders."""
        token = f"canary-{secrets.token_hex(16)}"
        self.stub.replies[token] = lambda: active(**members)
        return token

    def revoke(self, token: str) -> None:
        """From now on it is nobody's."""
        del self.stub.replies[token]


@pytest.fixture(scope="module")
def authorizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authorizer]:
    folder = tmp_path_factory.mktemp("extauthz")
    with StubServer({}) as stub, running(folder, introspection=stub.url, policy=POLICY) as service:
        yield Authorizer(stub=stub, port=service.gateway)


@pytest.fixture(scope="module")
def app() -> Iterator[tuple[Upstream, int]]:
    (port,) = free_ports(1)
    with Upstream(port) as upstream:
        yield upstream, port


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a trap needs around it; `nobody` is a port where no extauthz listens."""

    authorizer: Authorizer
    nobody: int
    upstream: Upstream
    app: int
    shipped: dict[bool, Site]

    def ask(self, site: Site, trap: Trap) -> tuple[int, list[Received]]:
        """The status, and what the application got of it that it should not."""
        self.upstream.received.clear()
        status = site.ask(trap.target, headers=trap.headers)[0]
        return status, [each for each in self.upstream.received if trap.hole(each)]


@pytest.fixture(scope="module")
def stage(authorizer: Authorizer, app: tuple[Upstream, int]) -> Iterator[Stage]:
    """With the shipped file in front of a running extauthz (False) and of none (True)."""
    upstream, port = app
    (nobody,) = free_ports(1)
    with ExitStack() as stack:
        shipped = {
            down: stack.enter_context(nginx(authorizer=nobody if down else authorizer.port, app=port))
            for down in (False, True)
        }
        yield Stage(authorizer=authorizer, nobody=nobody, upstream=upstream, app=port, shipped=shipped)


def examine(site: Site, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status of the doctor, and all that it finds besides."""
    result = CliRunner().invoke(doctor, ["--nginx", str(site.config), "--json", *arguments])
    findings = json.loads(result.stdout)["findings"]
    return result.exit_code, [
        each
        for each in findings
        if each["severity"] == "error" or (each["severity"] == "warning" and each["what"] != OPEN)
    ]


def assert_named(site: Site, check: str, *, doubtful: bool = False) -> None:
    """The doctor says what is wrong, where, and what to write instead; for CI, its status does."""
    status, findings = examine(site)
    assert {each["check"] for each in findings} == set(check.split())
    assert all(each["where"].startswith(f"{site.config}:") and each["why"] and each["fix"] for each in findings)
    assert status == (0 if doubtful else 1)


@pytest.mark.shows("N59", "N63")
def test_the_doctor_finds_nothing_in_the_shipped_file(stage: Stage) -> None:
    assert examine(stage.shipped[False]) == (0, [])


@pytest.mark.shows("N16", "N58", "N59", "N63")
@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_a_trap(stage: Stage, trap: Trap) -> None:
    port = stage.nobody if trap.down else stage.authorizer.port
    with nginx(authorizer=port, app=stage.app, changes=trap.changes) as site:
        (site.config.parent / "users").write_text("staff:{PLAIN}staff\n")
        status, holes = stage.ask(site, trap)
        assert (status, bool(holes)) == (200, True), "this is the hole"
        assert_named(site, trap.check, doubtful=trap.doubtful)
    assert stage.ask(stage.shipped[trap.down], trap) == (trap.refused, [])


@pytest.mark.shows("N63")
@pytest.mark.parametrize("line", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_before_the_question(stage: Stage, line: str) -> None:
    """What goes out does not come from the application, but nobody was asked about it either."""
    with nginx(authorizer=stage.authorizer.port, app=stage.app, changes=[(ASK, f"{ASK} {line}")]) as site:
        assert site.status("/orders/1") in (200, 301, 302)
        assert_named(site, "rewrite-phase")
    assert stage.shipped[False].status("/orders/1") == 401


@pytest.mark.shows("N61")
def test_a_line_break_in_a_path_is_no_line_break_in_the_question(stage: Stage) -> None:
    stage.upstream.received.clear()
    assert stage.shipped[False].status("/healthz/%0d%0aX-Original-URI:%20/healthz") == 400
    assert not stage.upstream.received


@pytest.mark.shows("N62")
def test_a_large_upload_is_asked_about_and_passes(stage: Stage) -> None:
    """It is longer than what NGINX lets through by default, and than what it keeps in memory."""
    size = 2_900_000
    headers = {"Authorization": f"Bearer {stage.authorizer.token()}", "Content-Type": "application/octet-stream"}
    answer = httpx.post(
        f"{stage.shipped[False].url}/orders/1", content=bytes(size), headers=headers, trust_env=False, timeout=30
    )
    assert (answer.status_code, stage.upstream.received[-1].body_bytes) == (200, size)


@pytest.mark.shows("N62")
def test_a_large_upload_that_is_denied_is_not_even_begun(stage: Stage) -> None:
    head = ["POST /orders/1 HTTP/1.1", "Host: x", "Content-Length: 2900000", "Expect: 100-continue", "\r\n"]
    with socket.create_connection(("127.0.0.1", stage.shipped[False].port), timeout=30) as client:
        client.sendall("\r\n".join(head).encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


KEY = 'proxy_cache_key               "v1 $proxy_host $request_method $scheme $host $authz_path $authz_digest";'
STALE = "proxy_cache_use_stale         off;"
BACKGROUND = "proxy_cache_background_update off;"
VALID = "proxy_cache_valid             any 0;"
IGNORED = "proxy_ignore_headers          "
FRESH_SECONDS = 3.1
"""After it, extauthz asks again about a token of a route with `freshness: 3s`."""


class TestTheEdgeCache:
    """Each hole is a function of a gateway: whether it is there."""

    def assert_trap(
        self, stage: Stage, hole: Callable[[Site], object], check: str, *changes: Change, doubtful: bool = False
    ) -> None:
        with nginx(authorizer=stage.authorizer.port, app=stage.app, edge_cache=True, changes=changes) as site:
            assert hole(site), "this is the hole"
            assert_named(site, check, doubtful=doubtful)
        with nginx(authorizer=stage.authorizer.port, app=stage.app, edge_cache=True) as site:
            assert not hole(site)
            assert examine(site) == (0, [])

    @pytest.mark.shows("N60")
    def test_the_key_that_nginx_takes_by_itself(self, stage: Stage) -> None:
        """All questions have the same one: what a token may do once, it may do everywhere."""
        token = stage.authorizer.token()

        def hole(site: Site) -> bool:
            assert site.status("/orders/1", token) == 200
            return site.status("/admin", token) == 200

        self.assert_trap(stage, hole, "cache-key", (KEY, ""))

    @pytest.mark.shows("N60")
    def test_a_key_without_the_method(self, stage: Stage) -> None:
        token = stage.authorizer.token()

        def hole(site: Site) -> bool:
            assert site.status("/orders/1", token) == 200
            return site.status("/orders/1", token, method="DELETE") == 200

        self.assert_trap(stage, hole, "cache-key", (KEY, KEY.replace(" $request_method", "")))

    @pytest.mark.shows("N60")
    def test_a_key_without_the_token(self, stage: Stage) -> None:
        """`Vary: Authorization` still keeps them apart, unless that is ignored too."""
        tokens = stage.authorizer.token(), stage.authorizer.token(scope="nothing")

        def hole(site: Site) -> bool:
            assert site.status("/orders/1", tokens[0]) == 200
            return site.status("/orders/1", tokens[1]) == 200

        without = (KEY, KEY.replace(" $authz_digest", ""))
        self.assert_trap(stage, hole, "cache-key cache-headers", without, (IGNORED, f"{IGNORED}Vary "))

    @pytest.mark.shows("N60")
    def test_a_key_without_the_token_for_those_who_have_none(self, stage: Stage) -> None:
        token = stage.authorizer.token()

        def hole(site: Site) -> bool:
            assert site.status("/orders/1", token) == 200
            return site.status("/orders/1") == 200

        changes = (
            (KEY, KEY.replace(" $authz_digest", "")),
            (IGNORED, f"{IGNORED}Vary "),
            ("proxy_cache_bypass            $authz_unkept;", ""),
        )
        self.assert_trap(stage, hole, "cache-key cache-headers cache-anonymous", *changes)

    @pytest.mark.shows("N55")
    def test_old_answers_while_new_ones_are_fetched(self, stage: Stage) -> None:
        """The denial is fetched each time, and never kept: the revoked token works on and on."""

        def hole(site: Site) -> bool:
            token = stage.authorizer.token()
            assert site.status("/brief", token) == 200
            assert "/brief" in site.kept()
            stage.authorizer.revoke(token)
            time.sleep(FRESH_SECONDS)
            return [site.status("/brief", token) for _ in range(5)] == [200] * 5

        changes = (STALE, "proxy_cache_use_stale updating;"), (BACKGROUND, "proxy_cache_background_update on;")
        self.assert_trap(stage, hole, "cache-stale", *changes)

    @pytest.mark.shows("N51")
    def test_a_lifetime_of_nginxs_own(self, stage: Stage) -> None:
        """With `no-store` unheard, even a live route is answered from the cache, and a revoked token works on."""

        def hole(site: Site) -> bool:
            token = stage.authorizer.token()
            assert site.status("/live", token) == 200
            stage.authorizer.revoke(token)
            return site.status("/live", token) == 200

        changes = (VALID, "proxy_cache_valid 200 1m;"), (IGNORED, f"{IGNORED}Cache-Control ")
        self.assert_trap(stage, hole, "cache-valid cache-headers", *changes)

    def test_the_token_in_clear(self, stage: Stage) -> None:
        token = stage.authorizer.token()

        def hole(site: Site) -> bool:
            assert site.status("/orders/1", token) == 200
            return token in site.kept()

        clear = (KEY, KEY.replace("$authz_digest", "$http_authorization"))
        self.assert_trap(stage, hole, "cache-token", clear, doubtful=True)

    @pytest.mark.shows("N53")
    def test_an_outage_that_is_kept(self, stage: Stage) -> None:
        """Nobody gets in that should not, but nobody gets in who should, a minute after extauthz is back."""
        token = stage.authorizer.token()
        stays = []
        for changes in ([(VALID, "proxy_cache_valid any 1m;")], []):
            with nginx(authorizer=stage.nobody, app=stage.app, edge_cache=True, changes=changes) as site:
                assert site.status("/orders/1", token) == 503
                with Upstream(stage.nobody):  # says 200 to everything, which is all that counts
                    stays.append(site.status("/orders/1", token) == 503)
                assert [each["check"] for each in examine(site)[1]] == ["cache-valid"] * len(changes)
        assert stays == [True, False]
