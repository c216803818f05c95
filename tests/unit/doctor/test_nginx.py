"""The shipped file is good; with one line broken, exactly that is found, and where it stands."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Finding, Severity
from extauthz.doctor.nginx import examine_nginx

FILE = Path(__file__).parents[3] / "gateway/nginx.conf"
SHIPPED = FILE.read_text(encoding="utf-8")
EXPECTED = Expected(introspection_seconds=0.5)
UNCHECKED = "location = /gateway-health"

ERROR, WARNING = Severity.ERROR, Severity.WARNING
APP = "proxy_pass http://app;"
LAST_OF_ROOT = f"{APP}   # no path here: the application gets the bytes that were judged\n        }}"
START = "location / {"
NAMED = "location @denied {"
IN_AUTH = "client_max_body_size       0;"
SUB = "proxy_set_header X-Auth-Sub        $authz_sub;"
SET_SUB = "auth_request_set $authz_sub       $upstream_http_x_auth_sub;"
RAW_URI = "proxy_set_header X-Original-URI    $authz_path;"


class Broken(NamedTuple):
    """What is replaced, what with, the check that finds it, and what stands on the line that it names."""

    old: str
    new: str
    check: str
    at: str
    severity: Severity = ERROR


ROWS = {
    "a prefix without the check": Broken(
        NAMED, "location /static/ { proxy_pass http://app; }\n        " + NAMED, "unchecked", "location /static/"
    ),
    "a pattern without the check": Broken(
        NAMED,
        'location ~ \\.png$ { grpc_pass grpc://app; grpc_set_header X-Auth-Sub ""; '
        f'grpc_set_header X-Auth-Scope ""; }}\n        {NAMED}',
        "unchecked",
        "location ~ ",
    ),
    "the check switched off below": Broken(
        APP,
        f"{APP}\n            location /orders/public/ {{ auth_request off; {APP} }}",
        "unchecked",
        "/orders/public/",
    ),
    "the open path passed on raw": Broken(
        "proxy_pass http://app/gateway-health;", "proxy_pass http://app;", "unchecked", "proxy_pass http://app;"
    ),
    "a way around by a named location": Broken(
        NAMED,
        f"location /files/ {{ try_files $uri @app; }}\n        location @app {{ {APP} }}\n        {NAMED}",
        "unchecked",
        "try_files",
    ),
    "a denial that leads to the application": Broken(
        f"error_page 401 403 500 @denied;\n\n            {LAST_OF_ROOT}",
        f"error_page 401 500 @denied; error_page 403 @app;\n{LAST_OF_ROOT}\n        location @app {{ {APP} }}",
        "unchecked",
        "error_page 403 @app",
    ),
    "a denial that leads to the application, in a location for NGINX alone": Broken(
        f"error_page 401 403 500 @denied;\n\n            {LAST_OF_ROOT}",
        f"error_page 401 500 @denied; error_page 403 = /raw/x;\n{LAST_OF_ROOT}\n"
        f"        location /raw/ {{ internal; {APP} }}",
        "unchecked",
        "error_page 403 = /raw/x",
    ),
    "a query": Broken("auth_request     /_extauthz;", "auth_request /_extauthz?x=1;", "auth-uri", "?x=1"),
    "a typo": Broken("auth_request     /_extauthz;", "auth_request /_extautz;", "auth-uri", "/_extautz"),
    "a location that takes more": Broken(
        "location = /_extauthz {", "location /_extauthz {", "auth-uri", "auth_request     /_extauthz"
    ),
    "open to the world": Broken("            internal; ", "            ", "auth-internal", "location = /_extauthz"),
    "an early return": Broken(START, f"{START} return 200;", "rewrite-phase", "return 200"),
    "an early return on a condition": Broken(
        START, f"{START} if ($request_method = OPTIONS) {{ return 204; }}", "rewrite-phase", "return 204"
    ),
    "a permanent redirect": Broken(START, f"{START} rewrite ^/old$ /new permanent;", "rewrite-phase", "permanent"),
    "a redirect": Broken(START, f"{START} rewrite ^/old$ /new redirect;", "rewrite-phase", "redirect"),
    "another path": Broken(START, f"{START} rewrite ^/old/(.*)$ /new/$1 break;", "rewrite-phase", "break"),
    "another location": Broken(START, f"{START} rewrite ^/old/(.*)$ /new/$1 last;", "rewrite-phase", "last"),
    "another path for the whole server": Broken(
        START, f"rewrite ^/old/(.*)$ /new/$1;\n        {START}", "rewrite-phase", "rewrite ^/old", WARNING
    ),
    "one of several opinions": Broken(
        START, f"{START} satisfy any; allow 10.0.0.0/8; deny all;", "satisfy", "satisfy any"
    ),
    "one of several opinions everywhere": Broken(
        "server_tokens off;", "server_tokens off; satisfy any;", "satisfy", "satisfy any"
    ),
    "a failure that becomes a yes": Broken(
        IN_AUTH, f"{IN_AUTH} error_page 500 502 503 504 =200 @open;", "auth-error-page", "=200"
    ),
    "a failure that becomes whatever comes": Broken(
        IN_AUTH, f"{IN_AUTH} error_page 502 = /fallback;", "auth-error-page", "error_page 502"
    ),
    "a failure that becomes a yes, from outside": Broken(
        "recursive_error_pages on;", "recursive_error_pages on; error_page 504 =204 @open;", "auth-error-page", "=204"
    ),
    "somebody else who answers": Broken(
        "keepalive 64;", "keepalive 64; server 127.0.0.1:8080 backup;", "auth-backup", "8080 backup", WARNING
    ),
    "sub is the client's": Broken(SUB, "", "identity-headers", "proxy_set_header Connection"),
    "sub is what the client says": Broken(
        SUB, "proxy_set_header X-Auth-Sub $http_x_auth_sub;", "identity-headers", "$http_x_auth_sub"
    ),
    "sub is what the client says, by a detour": Broken(
        SET_SUB, "set $authz_sub $arg_sub;", "identity-headers", "X-Auth-Sub"
    ),
    "sub is the client's, in a location for NGINX alone": Broken(
        NAMED,
        f'location /x/ {{ internal; proxy_set_header X-Auth-Scope ""; {APP} }}\n        {NAMED}',
        "identity-headers",
        "location /x/",
    ),
    "sub is the same for all": Broken(SUB, "proxy_set_header X-Auth-Sub admin;", "identity-headers", "admin"),
    "sub is never set": Broken(SET_SUB, "", "identity-headers", "X-Auth-Sub", WARNING),
    "sub is the scope": Broken(SET_SUB, SET_SUB.replace("_sub;", "_scope;"), "identity-headers", "X-Auth-Sub", WARNING),
    "one header with an underscore": Broken(
        "underscores_in_headers off;", "underscores_in_headers on;", "no-twins", "underscores_in_headers"
    ),
    "one header with a dot": Broken(
        "ignore_invalid_headers on;", "ignore_invalid_headers off;", "no-twins", "ignore_invalid_headers"
    ),
    "no true status for 500": Broken(
        "error_page 401 403 500 @denied;", "error_page 401 403 @denied;", "answers", "location / {", WARNING
    ),
    "no recipe": Broken("error_page 401 403 500 @denied;", "", "answers", "location / {", WARNING),
    "a denial that looks like a success": Broken(
        "error_page 401 403 500 @denied;", "error_page 401 403 500 =200 @denied;", "answers", "=200"
    ),
    "another endpoint": Broken("http://extauthz/nginx;", "http://extauthz/;", "auth-endpoint", "http://extauthz/;"),
    "no endpoint": Broken("http://extauthz/nginx;", "http://extauthz;", "auth-endpoint", "http://extauthz;"),
    "the body": Broken("proxy_pass_request_body    off;", "", "auth-body", "location = /_extauthz"),
    "the length of the body": Broken(
        'proxy_set_header Content-Length    "";', "", "auth-body", "location = /_extauthz"
    ),
    "all headers": Broken("proxy_pass_request_headers off;", "", "auth-headers", "location = /_extauthz", WARNING),
    "no token": Broken(
        "proxy_set_header Authorization     $http_authorization;", "", "auth-headers", "location = /_extauthz"
    ),
    "another token": Broken(
        "proxy_set_header Authorization     $http_authorization;",
        "proxy_set_header Authorization $cookie_session;",
        "auth-headers",
        "$cookie_session",
    ),
    "no host": Broken("proxy_set_header X-Original-Host   $host;", "", "auth-headers", "location = /_extauthz"),
    "another host": Broken(
        "proxy_set_header X-Original-Host   $host;",
        "proxy_set_header X-Original-Host $http_host;",
        "auth-headers",
        "$http_host",
    ),
    "no method": Broken(
        "proxy_set_header X-Original-Method $request_method;", "", "auth-method", "location = /_extauthz"
    ),
    "a fixed method": Broken("X-Original-Method $request_method;", "X-Original-Method GET;", "auth-method", "GET"),
    "no path": Broken(RAW_URI, "", "auth-raw-uri", "location = /_extauthz"),
    "the decoded path": Broken(RAW_URI, "proxy_set_header X-Original-URI $uri;", "auth-raw-uri", "$uri"),
    "the decoded path by its other name": Broken(
        RAW_URI, "proxy_set_header X-Original-URI $document_uri$is_args$args;", "auth-raw-uri", "$document_uri"
    ),
    "the decoded path by a detour": Broken(
        "map $request_uri $authz_path", "map $uri $authz_path", "auth-raw-uri", "X-Original-URI"
    ),
    "the decoded path by a branch": Broken(
        "default                $request_uri;", "default $uri;", "auth-raw-uri", "X-Original-URI"
    ),
    "a path of the client's": Broken(
        RAW_URI, "proxy_set_header X-Original-URI $http_x_original_uri;", "auth-raw-uri", "$http_x_original_uri"
    ),
    "a fixed path": Broken(RAW_URI, "proxy_set_header X-Original-URI /;", "auth-raw-uri", "X-Original-URI /"),
    "no time to connect": Broken("proxy_connect_timeout 250ms;", "", "auth-timeouts", "location = /_extauthz"),
    "no time to send": Broken("proxy_send_timeout    500ms;", "", "auth-timeouts", "location = /_extauthz"),
    "no time to read": Broken("proxy_read_timeout    1s;", "", "auth-timeouts", "location = /_extauthz"),
    "less time than an introspection": Broken(
        "proxy_read_timeout    1s;", "proxy_read_timeout 599ms;", "auth-timeouts", "599ms"
    ),
    "uploads are limited twice": Broken(IN_AUTH, "", "auth-upload", "client_max_body_size    16m", WARNING),
}


def examined(text: str, expected: Expected = EXPECTED) -> list[Finding]:
    """All findings but the one about the location that the shipped file leaves open on purpose."""
    found = [each for each in examine_nginx(text, "nginx.conf", expected, secret) if each.severity is not Severity.OK]
    known = [each for each in found if each.severity is WARNING and UNCHECKED in each.what]
    assert len(known) <= 1
    return [each for each in found if each not in known]


def line_of(finding: Finding, text: str) -> str:
    file, _, number = finding.where.rpartition(":")
    assert file == "nginx.conf"
    return text.splitlines()[int(number) - 1]


class TestTheShippedFile:
    def test_has_no_fault(self) -> None:
        assert examined(SHIPPED) == []

    def test_says_which_location_is_open(self) -> None:
        (finding,) = (each for each in examine_nginx(SHIPPED, "nginx.conf", EXPECTED) if each.severity is WARNING)
        assert UNCHECKED in line_of(finding, SHIPPED)

    def test_every_check_has_a_good_word(self) -> None:
        good = {
            each.check
            for each in examine_nginx(CACHING, "nginx.conf", EXPECTED, secret)
            if each.severity is Severity.OK
        }
        assert good == {row.check for row in (*ROWS.values(), *CACHE_ROWS.values())} - {"unchecked"}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_one_broken_line_is_found_where_it_stands(row: Broken) -> None:
    assert_found(SHIPPED, row)


def assert_found(text: str, row: Broken) -> None:
    assert row.old in text
    changed = text.replace(row.old, row.new, 1)
    (finding,) = examined(changed)
    assert (finding.severity, finding.check) == (row.severity, row.check)
    assert row.at in line_of(finding, changed)
    assert finding.why.endswith(".")
    assert finding.fix


CACHING = re.sub(r"(?m)^( *)#E ", r"\1", SHIPPED)
KEY = '"v1 $proxy_host $request_method $scheme $host $authz_path $authz_digest"'
DIGEST = "set_encode_hex                $authz_digest $authz_hmac;"
HMAC = "set_hmac_sha256               $authz_hmac $authz_secret $http_authorization;"
VALID = "proxy_cache_valid             any 0;"
IGNORED = "proxy_ignore_headers          X-Accel-Expires"


def secret(pattern: str) -> list[tuple[str, str]]:
    """The file that the lines for the edge cache include."""
    if pattern != "extauthz-edge.secret":
        raise FileNotFoundError(pattern)
    return [(pattern, 'set $authz_secret "5f0f9a1b2c3d4e5f";')]


CACHE_ROWS = {
    "no token in the key": Broken(' $authz_digest"', '"', "cache-key", "proxy_cache_key"),
    "only whether there is a token": Broken(' $authz_digest"', ' $authz_unkept"', "cache-key", "proxy_cache_key"),
    "no method in the key": Broken("$request_method $scheme", "$scheme", "cache-key", "proxy_cache_key"),
    "no path in the key": Broken("$host $authz_path", "$host", "cache-key", "proxy_cache_key"),
    "the path of the question in the key": Broken("$host $authz_path", "$host $uri", "cache-key", "proxy_cache_key"),
    "the default key": Broken("proxy_cache_key ", "# ", "cache-key", "location = /_extauthz"),
    "a digest of something else": Broken(
        HMAC, HMAC.replace("$http_authorization", "$http_cookie"), "cache-key", "proxy_cache_key"
    ),
    "a digest of itself": Broken(HMAC, HMAC.replace("$http_authorization", "$authz_digest"), "cache-key", "cache_key"),
    "a script": Broken(DIGEST, "js_set $authz_digest edge.digest;", "cache-key", "js_set", WARNING),
    "the token in clear": Broken(' $authz_digest"', ' $http_authorization"', "cache-token", "proxy_cache_key", WARNING),
    "the token in clear, by a detour": Broken(
        DIGEST, 'set $authz_digest "${http_authorization}";', "cache-token", "proxy_cache_key", WARNING
    ),
    "looked up without a token": Broken("proxy_cache_bypass ", "# ", "cache-anonymous", "location =", WARNING),
    "kept without a token": Broken(
        "proxy_no_cache                $authz_unkept",
        "proxy_no_cache $cookie_session",
        "cache-anonymous",
        "$cookie_session",
        WARNING,
    ),
    "answers that outlive their time": Broken(
        "proxy_cache_use_stale         off;",
        "proxy_cache_use_stale error timeout;",
        "cache-stale",
        "proxy_cache_use_stale",
    ),
    "a lifetime of NGINX's own": Broken(VALID, "proxy_cache_valid any 1m;", "cache-valid", "proxy_cache_valid"),
    "no-store goes unheard": Broken(IGNORED, "proxy_ignore_headers Cache-Control", "cache-headers", "Cache-Control"),
    "the token in Vary goes unheard": Broken(IGNORED, "proxy_ignore_headers vary", "cache-headers", "vary"),
    "a folder that anybody can make": Broken(
        "/run/extauthz-edge",
        "/dev/shm/edge",  # noqa: S108 - it must not be there
        "cache-folder",
        "proxy_cache_path",
        WARNING,
    ),
}


class TestTheEdgeCache:
    def test_the_lines_in_the_shipped_file_are_good(self) -> None:
        assert "            proxy_cache_key  " in CACHING
        assert examined(CACHING) == []

    @pytest.mark.parametrize("row", CACHE_ROWS.values(), ids=CACHE_ROWS.keys())
    def test_one_broken_line_is_found(self, row: Broken) -> None:
        assert_found(CACHING, row)

    @pytest.mark.parametrize(
        "made",
        [
            "set_sha256 $authz_digest $http_authorization;",
            'set $whole "x $http_authorization"; set_hmac_sha256 $authz_digest k $whole;',
            'map $http_authorization $bare { "~^Bearer (?<t>.+)$" $t; } set_hmac_sha256 $authz_digest k $bare;',
        ],
    )
    def test_the_digest_may_be_made_in_other_ways(self, made: str) -> None:
        assert examined(CACHING.replace(DIGEST, made)) == []

    def test_what_holds_outside_holds_inside(self) -> None:
        text = CACHING.replace("server_tokens off;", "server_tokens off; proxy_cache_valid any 1m;")
        assert examined(text) == []
        (finding,) = examined(text.replace(VALID, ""))
        assert (finding.severity, finding.check) == (ERROR, "cache-valid")
        assert "server_tokens" in line_of(finding, text)

    def test_a_lifetime_of_none_is_none(self) -> None:
        assert examined(CACHING.replace(VALID, "proxy_cache_valid 200 401 0s;")) == []

    def test_another_zone_may_be_anywhere(self) -> None:
        other = "proxy_cache_path /tmp/pictures keys_zone=pictures:1m;"
        assert examined(CACHING.replace("server_tokens off;", other)) == []

    def test_a_secret_that_may_not_be_read_is_told(self) -> None:
        found = [each for each in examine_nginx(CACHING, "nginx.conf", EXPECTED) if each.check == "nginx-include"]
        assert [each.severity for each in found] == [WARNING]

    def test_the_host_belongs_into_the_key_when_a_route_is_for_one_host(self) -> None:
        text = CACHING.replace("$scheme $host $authz_path", "$scheme $authz_path")
        routes, _ = RouteTable.build([Rule(name="r", path="/", host="a.example.com")])
        assert examined(text) == []
        assert [each.check for each in examined(text, Expected(routes=routes))] == ["cache-key"]

    def test_without_a_cache_nothing_is_said_about_it(self) -> None:
        assert not [each for each in examine_nginx(SHIPPED, "nginx.conf", EXPECTED) if each.check.startswith("cache")]


class TestInheritanceIsAllOrNothing:
    def test_one_header_of_its_own_loses_the_others(self) -> None:
        text = SHIPPED.replace(APP, f"proxy_set_header X-Request-Id $request_id;\n            {APP}", 1)
        found = examined(text)
        assert [each.check for each in found] == ["identity-headers", "identity-headers"]
        assert all("$request_id" in line_of(each, text) for each in found)

    def test_a_block_in_a_location_may_pass_on_too(self) -> None:
        text = SHIPPED.replace(START, f"{START} if ($arg_beta) {{ proxy_pass http://app; }}")
        assert examined(text) == []
        text = text.replace("if ($arg_beta) {", "limit_except GET { ")
        assert examined(text) == []

    def test_a_check_for_the_whole_server_holds_in_its_locations(self) -> None:
        start, end = SHIPPED.index("auth_request     /_extauthz"), SHIPPED.index("error_page 401 403 500")
        asking = SHIPPED[start:end]
        text = SHIPPED.replace(asking, "").replace("recursive_error_pages on;", f"recursive_error_pages on; {asking}")
        assert [each for each in examine_nginx(text, "nginx.conf", EXPECTED) if each.check == "unchecked"] == [
            Finding(
                severity=Severity.OK,
                check="unchecked",
                where="nginx.conf",
                what="every location that leads to an application asks extauthz",
            )
        ]

    def test_each_server_is_looked_at(self) -> None:
        second = SHIPPED[SHIPPED.index("    server {") : SHIPPED.rindex("}")].replace("/_extauthz;", "/_extauthz?;")
        found = examine_nginx(SHIPPED.rstrip().removesuffix("}") + second + "}", "nginx.conf", EXPECTED)
        assert [each.check for each in found if each.severity is ERROR] == ["auth-uri"]

    def test_streams_are_no_business_of_ours(self) -> None:
        assert examined(SHIPPED + "stream { server { listen 5432; proxy_pass db:5432; } }") == []


class TestOtherProtocols:
    @pytest.mark.parametrize(
        ("passing", "setter"),
        [("fastcgi_pass unix:/run/app.sock", "fastcgi_param"), ("uwsgi_pass app:1", "uwsgi_param")],
    )
    def test_parameters_carry_the_identity(self, passing: str, setter: str) -> None:
        text = SHIPPED.replace(APP, f"{passing};", 1)
        assert [each.check for each in examined(text)] == ["identity-headers", "identity-headers"]
        named = f"{setter} HTTP_X_AUTH_SUB $authz_sub; {setter} HTTP_X_AUTH_SCOPE $authz_scope; {passing};"
        assert examined(SHIPPED.replace(APP, named, 1)) == []

    def test_grpc_has_headers_of_its_own(self) -> None:
        text = SHIPPED.replace(APP, "grpc_pass grpc://app;", 1)
        assert [each.check for each in examined(text)] == ["identity-headers", "identity-headers"]


class TestNamedLocations:
    def test_what_was_checked_before_may_go_there(self) -> None:
        text = SHIPPED.replace(APP, "try_files $uri @app; error_page 404 @app;", 1)
        text = text.replace("error_page 401 403 500 @denied;", "error_page 401 403 500 @denied; error_page 502 @app;")
        assert examined(text.replace(NAMED, f"location @app {{ {APP} }} {NAMED}")) == []

    def test_a_location_that_only_nginx_reaches_needs_no_check(self) -> None:
        assert examined(SHIPPED.replace(NAMED, f"location /x/ {{ internal; {APP} }} {NAMED}")) == []


class TestThePolicysOwnHeaders:
    def test_each_has_to_be_set_everywhere(self) -> None:
        found = examined(SHIPPED, Expected(identity_headers=("x-auth-sub", "x-user")))
        assert [(each.severity, each.check) for each in found] == [(ERROR, "identity-headers")]
        assert "x-user" in found[0].what
        assert found[0].fix == "proxy_set_header X-User $authz_x_user;"


class TestFilesOfAnotherShape:
    @pytest.mark.parametrize("text", ["a {", "a", "}", ";", '"a', "a 'b'c;", "a;}", "\\"])
    def test_what_is_no_configuration_is_an_error_with_its_line(self, text: str) -> None:
        (finding,) = examined(f"\n{text}")
        assert (finding.severity, finding.check, finding.where) == (ERROR, "nginx-syntax", "nginx.conf:2")

    def test_endless_nesting_is_an_error(self) -> None:
        assert [each.check for each in examined("a {" * 5000)] == ["nginx-syntax"]

    @pytest.mark.parametrize("text", ["http { }", "", "http { server { listen 80; root /srv; } }"])
    def test_a_file_that_asks_nobody_is_an_error_and_nothing_in_it_is_good(self, text: str) -> None:
        (finding,) = examine_nginx(text, "nginx.conf", EXPECTED)
        assert (finding.severity, finding.check) == (ERROR, "auth-request")

    def test_a_server_that_asks_nobody_is_an_error(self) -> None:
        found = examined("server { location / { proxy_pass http://app; } }")
        assert {each.check for each in found} == {"auth-request", "unchecked", "identity-headers"}

    def test_lua_is_passed_over(self) -> None:
        lua = 'content_by_lua_block { local x = "}" -- }\n if x then return { a = 1 } end }'
        assert examined(SHIPPED.replace(NAMED, f"location = /lua {{ {lua} }}\n        {NAMED}")) == []


class TestIncludes:
    TEXT = SHIPPED.replace(f"{SUB}\n", "include headers/*.conf;\n")

    def test_what_cannot_be_read_is_told(self) -> None:
        found = examined(self.TEXT)
        assert (found[-1].severity, found[-1].check) == (WARNING, "nginx-include")
        assert "include" in line_of(found[-1], self.TEXT)

    def test_what_is_included_counts(self) -> None:
        def includes(pattern: str) -> list[tuple[str, str]]:
            assert pattern == "headers/*.conf"
            return [("headers/a.conf", SUB)]

        found = examine_nginx(self.TEXT, "nginx.conf", EXPECTED, includes)
        assert [each.check for each in found if each.severity is not Severity.OK] == ["unchecked"]

    def test_a_file_that_includes_itself_is_an_error(self) -> None:
        found = examine_nginx("include a;", "nginx.conf", EXPECTED, lambda _: [("a", "include a;")])
        assert [each.check for each in found] == ["nginx-syntax"]

    def test_a_dump_of_nginx_is_read_with_its_files(self) -> None:
        broken = SUB.replace("$authz_sub", "$http_x_auth_sub")
        dump = (
            f"# configuration file /etc/nginx/nginx.conf:\n{self.TEXT}\n"
            f"# configuration file /etc/nginx/headers/a.conf:\n\n{broken}\n"
        )
        found = [each for each in examine_nginx(dump, "all.conf", EXPECTED) if each.severity is ERROR]
        assert {(each.check, each.where) for each in found} == {("identity-headers", "/etc/nginx/headers/a.conf:2")}
