"""NGINX that asks the authorization server itself, by a script of its own (njs), and caches what it says."""

from pathlib import Path

from bench.files import CLIENT_BASIC, STATIC
from bench.stage import Part, Stage
from extauthz.cli.processes import nginx_command

_MODULE = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
_SCRIPT = Path(__file__).with_name("introspect.js")

_SITE = """
    js_path {folder};
    js_import {script};
    proxy_cache_path introspections keys_zone=introspections:10m inactive=1h;
    upstream app {{ server 127.0.0.1:{app}; keepalive 32; }}
    upstream introspection {{ server {introspection}; keepalive 32; }}
    map $http_authorization $bearer {{ default ""; "~^Bearer (?<bearer_token>[^ ]+)$" $bearer_token; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{port};
        location / {{
            auth_request /_authorize;
            auth_request_set $sub $sent_http_x_auth_sub;
            auth_request_set $scope $sent_http_x_auth_scope;
            proxy_set_header X-Auth-Sub $sub;
            proxy_set_header X-Auth-Scope $scope;
            proxy_set_header Connection "";
            proxy_pass http://app;
        }}
        location = /_authorize {{ internal; js_content introspect.introspect; }}
        location = /_introspection {{
            internal;
            proxy_method POST;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Basic {credentials}";
            proxy_set_header Content-Type application/x-www-form-urlencoded;
            proxy_set_body "token=$bearer&token_type_hint=access_token";
            proxy_cache introspections;
            proxy_cache_key $bearer;
            proxy_cache_lock on;
            proxy_cache_valid 200 1h;
            proxy_ignore_headers Cache-Control Expires Set-Cookie;
            proxy_pass http://introspection/introspect;
        }}
    }}
"""


def missing() -> str:
    """What has to be installed first."""
    return "" if _MODULE.exists() else "apt-get install libnginx-mod-http-js"


def start(stage: Stage) -> Part:
    """One worker; answers are kept for as long as extauthz keeps them in this run."""
    app, introspection = stage.start_backends()
    (port,) = stage.ports(1)
    prefix = stage.prefix("njs")
    file = stage.folder / "njs.conf"
    body = _SITE.format(
        folder=_SCRIPT.parent,
        script=_SCRIPT.name,
        app=app,
        introspection=introspection.split("/")[2],
        port=port,
        credentials=CLIENT_BASIC,
    )
    file.write_text(f"load_module {_MODULE};\n" + STATIC.format(body=body), encoding="utf-8")
    return stage.start_part("peer njs", nginx_command(file, prefix), port, gateway=True)
