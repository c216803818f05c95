"""The authorization server as it is run: from a file, under TLS, with limits, a record, alerts and metrics."""

import asyncio
import base64
import hashlib
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from extauthz.authserver.admin import issue_token
from extauthz.authserver.client_auth import hash_secret
from extauthz.authserver.limiting import REDIS_PAUSE_SECONDS
from extauthz.authserver.store.base import AuthMethod, ClientRecord
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.processes import Process, free_ports
from extauthz.keyfiles import read_validity
from support.certificates import Authority
from support.redis_server import RedisServer
from support.serving import records

SECRET = "a secret of this test"
WAIT_SECONDS = 60.0
GATEWAY = ("gateway", SECRET)
ADDRESSES = [f"203.0.113.{number}" for number in range(9, 15)]


async def fill(path: Path, *, certificate_subject: str = "") -> str:
    """Resource servers, one of them with a network, one with a certificate; and a token."""
    clients = [
        ClientRecord(client_id="gateway", secret_hash=hash_secret(SECRET, rounds=4)),
        ClientRecord(client_id="elsewhere", secret_hash=hash_secret(SECRET, rounds=4), networks=("198.51.100.0/24",)),
        ClientRecord(
            client_id="machine",
            auth_method=AuthMethod.TLS,
            certificate_subject=certificate_subject,
            certificate_bound_tokens=True,
        ),
    ]
    async with SqliteStore(path) as store:
        for client in clients:
            await store.add_client(replace(client, can_introspect=True, audiences=("*",)))
        token, _ = await issue_token(
            store, client_id="app", sub="alice", audience=["api"], ttl_seconds=600, now=time.time()
        )
    return token


class Running:
    """A server that answers, with its addresses."""

    def __init__(self, folder: Path, process: Process, port: int, ops: int, *, verify: ssl.SSLContext | bool) -> None:
        self.folder = folder
        self.process = process
        self.port = port
        scheme = "http" if verify is True else "https"
        self.http = httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", trust_env=False, verify=verify, timeout=60)
        self.ops = httpx.Client(base_url=f"http://127.0.0.1:{ops}", trust_env=False, timeout=60)

    def introspect(
        self, token: str, auth: tuple[str, str] = GATEWAY, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return self.http.post("/oauth2/introspect", data={"token": token}, auth=auth, headers=headers)

    def recorded(self) -> list[dict[str, Any]]:
        path = self.folder / "audit.jsonl"
        return records(path) if path.exists() else []


@contextmanager
def running(folder: Path, more: str, *, verify: ssl.SSLContext | bool = True) -> Iterator[Running]:
    """A server with this configuration, beside what every one here has."""
    port, ops = free_ports(2)
    (folder / "authserver.yaml").write_text(
        f"listen: 127.0.0.1:{port}\nops: 127.0.0.1:{ops}\nissuer: https://as.example.com\nstore: sqlite:///as.db\n"
        f"audit: ./audit.jsonl\n{more}"
    )
    command = [sys.executable, "-m", "extauthz", "authserver", "serve", "--config", str(folder / "authserver.yaml")]
    with Process("authserver", command, log=folder / "authserver.log") as process:
        server = Running(folder, process, port, ops, verify=verify)
        with server.http, server.ops:
            eventually(lambda: is_ready(server))
            yield server


def is_ready(server: Running) -> bool:
    try:
        return server.ops.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a server has its files."""
    return tmp_path_factory.mktemp("authserver")


@pytest.fixture(scope="module")
def token(folder: Path) -> str:
    """A token in the store of the server behind a proxy."""
    return asyncio.run(fill(folder / "as.db"))


@pytest.fixture(scope="module")
def server(folder: Path, token: str) -> Iterator[Running]:
    """Two workers behind a proxy that is trusted, which is this test; they count in Redis."""
    with RedisServer(folder, password="geheim") as redis, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_PASSWORD", "geheim")
        more = (
            "workers: 2\nbatch: true\ntrusted_proxies: [127.0.0.0/8]\n"
            f"limits: {{failures_per_address: 4, requests_per_address: 1000, redis: 'redis://127.0.0.1:{redis.port}/0',"
            " redis_password: {env: REDIS_PASSWORD}}\n"
            "anomalies: {failures_per_address: 3}\n"
        )
        with running(folder, more) as server:
            yield server


def from_(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address}


def test_every_answer_is_recorded_without_its_token(server: Running, token: str) -> None:
    """An introspection is one line with client, address, jti, user and result; no token and no secret is in the file."""
    headers = {**from_("192.0.2.1"), "user-agent": "a test"}
    assert server.introspect(token, headers=headers).json()["active"] is True
    assert server.introspect("unknown", headers=headers).json() == {"active": False}
    eventually(lambda: len([line for line in server.recorded() if line["user_agent"] == "a test"]) == 2)
    good, bad = (line for line in server.recorded() if line["user_agent"] == "a test")
    assert {name: good[name] for name in ("kind", "result", "client_id", "address", "sub")} == {
        "kind": "introspection",
        "result": "active",
        "client_id": "gateway",
        "address": "192.0.2.1",
        "sub": "alice",
    }
    assert good["jti"]
    assert (bad["result"], bad["jti"], bad["sub"]) == ("unknown", None, None)
    text = (server.folder / "audit.jsonl").read_text()
    assert token not in text
    assert SECRET not in text


def test_a_batch_is_recorded_token_by_token(server: Running, token: str) -> None:
    """Each token of a batch has a line of its own."""
    data = {"tokens": f"{token} unknown"}
    headers = {**from_("192.0.2.2"), "user-agent": "a batch"}
    assert server.http.post("/oauth2/introspect/batch", data=data, auth=GATEWAY, headers=headers).status_code == 200
    eventually(
        lambda: (
            [line["result"] for line in server.recorded() if line["user_agent"] == "a batch"] == ["active", "unknown"]
        )
    )


def test_failures_of_an_address_count_in_all_workers_and_raise_an_alert(server: Running, token: str) -> None:
    """After as many wrong secrets as allowed an address gets 429, from whichever worker; others go on; it is told."""
    address = next(address for address in ADDRESSES if counted_together(server, token, address))
    refused = server.introspect(token, ("gateway", "wrong again"), headers=from_(address))
    assert int(refused.headers["retry-after"]) == 15
    assert refused.json()["error"] == "too_many_requests"
    assert server.introspect(token, headers=from_("192.0.2.3")).status_code == 200
    eventually(lambda: alerts(server, address))
    assert alerts(server, address) == 1


def counted_together(server: Running, token: str, address: str) -> bool:
    """Eight wrong secrets of an address; whether they were counted in Redis, which has a quarter of a second for it.

    Where it took longer, the machine stood still: then each worker has counted alone for some seconds, as it should.
    """
    troubles = server.process.output().count("Redis does not count")
    statuses = [
        server.introspect(token, ("gateway", f"wrong {n}"), headers=from_(address)).status_code for n in range(8)
    ]
    if server.process.output().count("Redis does not count") > troubles:
        time.sleep(REDIS_PAUSE_SECONDS)
        return False
    assert statuses == [401] * 4 + [429] * 4
    return True


def alerts(server: Running, address: str) -> int:
    """How often it was told."""
    told = ("alert", "failures_per_address", address)
    return sum((line["kind"], line["result"], line["address"]) == told for line in server.recorded())


def test_a_client_is_let_in_from_its_network_alone(server: Running, token: str) -> None:
    """The right secret from elsewhere is refused like a wrong one, by the address that the trusted proxy tells."""
    assert server.introspect(token, ("elsewhere", SECRET), headers=from_("198.51.100.7")).status_code == 200
    refused = server.introspect(token, ("elsewhere", SECRET), headers=from_("192.0.2.4"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert server.introspect(token, ("elsewhere", SECRET), headers=from_("198.51.100.7, 192.0.2.4")).status_code == 401


def test_answers_carry_the_headers_of_a_careful_server(server: Running, token: str) -> None:
    """No answer is stored, sniffed, framed or executed by anyone; without TLS nothing is said about it."""
    for answer in (server.introspect(token, headers=from_("192.0.2.5")), server.http.get("/nowhere")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "strict-transport-security" not in answer.headers


def test_a_head_that_no_client_needs_is_refused(server: Running, token: str) -> None:
    """Nobody who is unknown makes the server hold much for each connection."""
    padding = {f"x-{number}": "a" * 1000 for number in range(80)}
    assert server.introspect(token, headers=from_("192.0.2.7") | padding).status_code == 431


def test_metrics_tell_what_all_workers_did(server: Running, token: str) -> None:
    """The ops listener has the numbers of both workers by kind and result, and nothing of the clients."""
    for _ in range(3):
        server.introspect(token, headers=from_("192.0.2.6"))
    counted = 'authserver_events_total{kind="introspection",result="active"}'
    eventually(lambda: counted in server.ops.get("/metrics").text)
    page = server.ops.get("/metrics").text
    assert "gateway" not in page
    assert server.http.get("/metrics").status_code == 404


def context(authority: Authority, *, show: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=authority.path)
    if show is not None:
        made.load_cert_chain(*show)
    return made


def serial(port: int, authority: Authority) -> str:
    """The serial number of the certificate that the server shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as raw,
        context(authority).wrap_socket(raw, server_hostname="127.0.0.1") as connection,
    ):
        certificate = connection.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def told_end(server: Running) -> float:
    """When the certificate ends that the server shows, as its metrics have it."""
    told = 'extauthz_certificate_not_after_timestamp_seconds{server="",use="authserver"} '
    (line,) = (line for line in server.ops.get("/metrics").text.splitlines() if line.startswith(told))
    return float(line.removeprefix(told))


def test_an_expired_certificate_is_shown_and_told(tmp_path: Path) -> None:
    """At the start, and after SIGHUP while it is still the same."""
    authority = Authority(tmp_path)
    own = authority.issue("own", expired=True)
    with running(tmp_path, f"tls: {{certificate: {own.certificate.name}, key: {own.key.name}}}\n") as server:
        told = f"{own.certificate}: it ended on "
        eventually(lambda: server.process.output().count(told) == 1)
        assert told_end(server) == read_validity(own.certificate).ends < time.time()
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: server.process.output().count(told) == 2)


def test_tls_clients_by_certificate_and_new_certificates_without_a_restart(tmp_path: Path) -> None:
    """Under TLS a client proves itself by its certificate; SIGHUP puts a new one of the server in force."""
    authority = Authority(tmp_path)
    own, machine = authority.issue("first"), authority.issue("machine")
    token = asyncio.run(fill(tmp_path / "as.db", certificate_subject="CN=machine"))
    for name, path in (("tls.crt", own.certificate), ("tls.key", own.key)):
        (tmp_path / name).write_bytes(path.read_bytes())
    more = f"tls: {{certificate: tls.crt, key: tls.key, client_ca: {authority.path.name}}}\n"
    verify = context(authority, show=(machine.certificate, machine.key))
    with running(tmp_path, more, verify=verify) as server:
        answer = server.http.post("/oauth2/introspect", data={"token": token, "client_id": "machine"})
        assert answer.json()["active"] is True
        asked = {"grant_type": "client_credentials", "client_id": "machine"}
        own = server.http.post("/oauth2/token", data=asked).json()["access_token"]
        bound = server.http.post("/oauth2/introspect", data={"token": own, "client_id": "machine"}).json()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(machine.certificate.read_text())).digest()
        assert bound["cnf"] == {"x5t#S256": base64.urlsafe_b64encode(digest).decode().rstrip("=")}
        assert bound["token_type"] == "Bearer"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert server.introspect(token).status_code == 200
        assert told_end(server) == read_validity(tmp_path / "tls.crt").ends
        before = serial(server.port, authority)
        fresh = authority.issue("second")
        (tmp_path / "tls.key").write_text("this is no key")
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: "the old ones stay" in server.process.output())
        assert serial(server.port, authority) == before
        for name, path in (("tls.crt", fresh.certificate), ("tls.key", fresh.key)):
            (tmp_path / name).write_bytes(path.read_bytes())
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: "certificates were read again" in server.process.output())
        assert serial(server.port, authority) != before
        assert told_end(server) == read_validity(tmp_path / "tls.crt").ends
        assert server.introspect(token).json()["active"] is True
