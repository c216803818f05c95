"""The files that a run needs: both of extauthz's own, and the gateways' as shipped, changed only where a row says so."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench.workload import AUDIENCE, CLIENT_SECRET, REFUSED, SCOPE
from extauthz.cli.processes import render_gateway

ROOT = Path(__file__).resolve().parents[1]

EXPIRES = 4_000_000_000
CLIENT_BASIC = base64.b64encode(f"gateway:{CLIENT_SECRET}".encode()).decode()
"""How the gateway says at the authorization server who it is."""

SHARED_KEY = "ab" * 32
"""For extauthz processes of this run that share a Redis of this run."""

_EXT_AUTHZ = "envoy.filters.http.ext_authz"


def write_extauthz(
    folder: Path,
    *,
    introspection: str,
    gateway: int,
    ops: int,
    grpc: int = 0,
    policy: str,
    more: Mapping[str, object] | None = None,
) -> Path:
    """Write both files of one extauthz and the secrets that they name; the path of the first.

    `introspection` is the URL where tokens are asked about; `more` are further keys of the first file.
    """
    folder.mkdir()
    listen = {"gateway": f"127.0.0.1:{gateway}", "ops": f"127.0.0.1:{ops}"}
    server = {
        "introspection_endpoint": introspection,
        "client": {"id": "gateway", "secret": {"file": "secret"}},
        "cache": {"ttl": "1h", "max_entries": 120_000},  # a walk asks about some more tokens than it must
        "timeout": "2s",  # a machine that is held up for a moment is not what is measured
    }
    settings: dict[str, Any] = {
        "grpc_server": "grpcio" if grpc else "h2corn",
        "listen": {**listen, "grpc": f"127.0.0.1:{grpc}"} if grpc else listen,
        "policy": "policy.yaml",
        "authorization_servers": {"main": server},
        "audit": {"path": str(folder / "audit.log")},
        "drain_delay": "0s",
        **(more or {}),
    }
    file = folder / "extauthz.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")  # YAML takes JSON
    write_policy(folder, policy)
    (folder / "secret").write_text(CLIENT_SECRET, encoding="utf-8")
    (folder / "keys").write_text(SHARED_KEY, encoding="utf-8")
    return file


def write_policy(folder: Path, policy: str) -> None:
    """Put a policy in the place of the one that is there, whole."""
    new = folder / "policy.new"
    new.write_text(policy, encoding="utf-8")
    new.replace(folder / "policy.yaml")


def write_envoy(file: Path, ports: Mapping[int, int], *, check: bool = True) -> Path:
    """Write gateway/envoy.yaml with other ports; without `check`, also without the question to extauthz."""
    text = render_gateway(ROOT / "gateway/envoy.yaml", ports)
    file.write_text(text if check else _without_check(text), encoding="utf-8")
    return file


def _without_check(text: str) -> str:
    document = yaml.safe_load(text)
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [each for each in manager["http_filters"] if each["name"] != _EXT_AUTHZ]
    for host in manager["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route.pop("typed_per_filter_config", None)
    return yaml.safe_dump(document)


def write_nginx(file: Path, ports: Mapping[int, int], *, edge_cache: bool = False) -> Path:
    """Write gateway/nginx.conf with other ports and one worker; with `edge_cache`, with its lines (E) in effect."""
    text = _replaced(
        "worker_processes auto;", "worker_processes 1;", render_gateway(ROOT / "gateway/nginx.conf", ports)
    )
    if edge_cache:
        text = _replaced("/run/extauthz-edge", "edge_cache", re.sub(r"(?m)^( *)#E ", r"\1", text))
        (file.parent / "extauthz-edge.secret").write_text(f'set $authz_secret "{CLIENT_SECRET}";\n', encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    return file


def _replaced(old: str, new: str, text: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"gateway/nginx.conf must have {old.strip()!r} once")
    return text.replace(old, new)


def write_backends(file: Path, *, app: int, introspection: int, inner: int) -> Path:
    """Write an NGINX that is both the application (200, no body) and the authorization server (a static answer).

    NGINX knows what is in a form only when it passes the form on, so the authorization server takes two steps. It is
    asked once for each token, before anything is measured.
    """
    active = {
        "active": True,
        "sub": "user-$request_id",  # each token has a subject of its own
        "client_id": "bench",
        "scope": SCOPE,
        "aud": AUDIENCE,
        "exp": EXPIRES,
    }
    text = STATIC.format(
        body=f"""
    map $http_x_form $answer {{
        default '{json.dumps(active)}';
        "~token={REFUSED}" '{json.dumps({"active": False})}';
    }}
    upstream inner {{ server 127.0.0.1:{inner}; keepalive 64; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{app}; location / {{ return 200; }} }}
    server {{
        listen 127.0.0.1:{introspection};
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Form $request_body;
            proxy_pass http://inner;
        }}
    }}
    server {{ listen 127.0.0.1:{inner}; default_type application/json; location / {{ return 200 $answer; }} }}
"""
    )
    file.write_text(text, encoding="utf-8")
    return file


def write_verdict(file: Path, *, port: int) -> Path:
    """Write an NGINX that says yes to everything: the fastest answer that auth_request can get."""
    body = f"""
    server {{
        listen 127.0.0.1:{port};
        add_header X-Auth-Sub user-5f0f9a1b2c3d4e5f60718293a4b5c6d7;
        add_header X-Auth-Scope "{SCOPE}";
        location / {{ return 200; }}
    }}
"""
    file.write_text(STATIC.format(body=body), encoding="utf-8")
    return file


# An NGINX that keeps nothing outside of its prefix.
STATIC = """\
worker_processes 1;
pid nginx.pid;
lock_file nginx.lock;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path tmp_body;
    proxy_temp_path tmp_proxy;
    fastcgi_temp_path tmp_fastcgi;
    uwsgi_temp_path tmp_uwsgi;
    scgi_temp_path tmp_scgi;
    access_log off;
    keepalive_requests 1000000000;
    client_body_buffer_size 16k;
{body}}}
"""
