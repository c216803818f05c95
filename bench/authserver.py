"""`python -m bench.authserver`: what an introspection costs the embedded authorization server, with many tokens stored.

On each kind of storage: fill it, start one server, walk its tokens in a random order with wrk (every answer has to be a
full active one), print a line. The walk is over all tokens, so no cache of a few hot ones makes it look better.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.load import CONNECTIONS, Load, run_wrk
from extauthz.authserver.admin import add_client
from extauthz.authserver.store.base import ALL_AUDIENCES, token_digest
from extauthz.authserver.store.opening import open_store
from extauthz.authserver.store.postgres import migrate
from extauthz.cli.processes import Process, free_ports

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.postgres_server import PostgresServer

TOKENS = 1_000_000
CALLER, SECRET = "gateway", "a-secret-of-the-benchmark"
PATH = "/oauth2/introspect"

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_COLUMNS = ("digest", "jti", "client_id", "sub", "scope", "audience", "issued_at", "expires_at", "kind")
_START_SECONDS = 60.0
_TARGETS = {"sqlite": 5000, "postgresql": 3000}

_SCRIPT = """\
local head = "POST PATH HTTP/1.1\\r\\nHost: as.example\\r\\nAuthorization: Basic CREDENTIALS\\r\\n"
  .. "Content-Type: application/x-www-form-urlencoded\\r\\nContent-Length: LENGTH\\r\\n\\r\\ntoken="
wrong = 0

function request()
  return head .. string.format("%043d", math.random(0, TOKENS - 1))
end

function response(status, headers, body)
  if status ~= 200 or body:sub(1, 14) ~= '{"active":true' then wrong = wrong + 1 end
end

function setup(thread) worker = thread end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "wrong": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\\n',
    summary.requests, summary.duration,
    worker:get("wrong") + errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process and its threads have used: processor time and memory now."""

    cpu_seconds: float
    resident_mib: float


def token(number: int) -> str:
    """Token number so many: as long as a real one, and known by its digest like one."""
    return f"{number:043d}"


def rows(count: int, now: int) -> list[tuple[object, ...]]:
    """What is stored of so many tokens, in the order of their digests, in which a database takes them fastest."""
    audience, scope = json.dumps(["https://api.example.com"]), json.dumps(["orders:read", "orders:write"])
    return sorted(
        (
            *(token_digest(token(number)), f"j{number:021d}", f"app-{number % 100}", f"user-{number % 50_000}"),
            *(scope, audience, now, now + 86_400, "access_token"),
        )
        for number in range(count)
    )


def fill_sqlite(path: Path, content: list[tuple[object, ...]]) -> None:
    """Put the rows into a file that has the schema."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("PRAGMA synchronous = OFF")
        marks = ", ".join("?" * len(_COLUMNS))
        connection.executemany(f"INSERT INTO token ({', '.join(_COLUMNS)}) VALUES ({marks})", content)  # noqa: S608 - ours
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def fill_postgresql(url: str, content: list[tuple[object, ...]]) -> None:
    """Put the rows into a database that has the schema."""
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table("token", records=content, columns=_COLUMNS)
    await connection.execute("VACUUM ANALYZE token")
    await connection.close()


async def register(url: str) -> None:
    """Make the schema of a SQLite file, and the caller."""
    async with open_store(url) as store:
        await add_client(store, client_id=CALLER, secret=SECRET, can_introspect=True, audiences=[ALL_AUDIENCES])


@contextlib.contextmanager
def stored(kind: str, folder: Path, tokens: int) -> Iterator[str]:
    """A storage of this kind with so many tokens in it, as a URL."""
    content = rows(tokens, int(time.time()))
    if kind == "sqlite":
        path = folder / "as.db"
        url = f"sqlite:///{path}"
        asyncio.run(register(url))
        fill_sqlite(path, content)
        yield url
        return
    with PostgresServer() as server:
        asyncio.run(migrate(server.url))
        asyncio.run(register(server.url))
        asyncio.run(fill_postgresql(server.url, content))
        yield server.url


@contextlib.contextmanager
def serving(url: str, folder: Path) -> Iterator[tuple[Process, int]]:
    """One server on the storage, and its port."""
    (port,) = free_ports(1)
    listen = f"127.0.0.1:{port}"
    program = [sys.executable, "-m", "extauthz", "authserver", "serve", "--listen", listen]
    command = [*program, "--issuer", f"http://{listen}", "--store", url]
    with Process("authorization server", command, log=folder / "server.log") as process:
        process.wait_for_port(port, _START_SECONDS)
        yield process, port


def usage(pid: int) -> Usage:
    """What the process uses now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(cpu_seconds=cpu_seconds, resident_mib=pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def credentials() -> str:
    """The caller's Basic pair."""
    return base64.b64encode(f"{CALLER}:{SECRET}".encode()).decode()


def prove(port: int) -> None:
    """Raise ``RuntimeError`` unless a stored token is active and another is not. It also warms the caller's secret."""
    for text, active in ((token(0), True), ("unknown", False)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
        headers = {"Authorization": f"Basic {credentials()}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", PATH, f"token={text}", headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if answer.get("active") is not active:
            raise RuntimeError(f"a token that is active: {active} is answered as {answer}")


def run(
    kind: str, folder: Path, *, tokens: int, seconds: float, rounds: int = 1
) -> Iterator[tuple[Load, Usage, Usage]]:
    """Rounds at one kind of storage: the load, and what the server had used before and after it."""
    script = folder / "walk.lua"
    write_walk(script, tokens)
    begin = time.monotonic()
    with stored(kind, folder, tokens) as url, serving(url, folder) as (process, port):
        prove(port)
        print(f"{kind}: {tokens:,} tokens stored in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        run_wrk(port, script, 1.0)  # from here on nothing is new but the tokens
        for _ in range(rounds):
            before = usage(process.pid)
            load = run_wrk(port, script, seconds)
            yield load, before, usage(process.pid)


def write_walk(script: Path, tokens: int) -> None:
    """Write the walk for wrk."""
    length = len("token=") + len(token(0))
    words = {"PATH": PATH, "CREDENTIALS": credentials(), "LENGTH": str(length), "TOKENS": str(tokens)}
    text = _SCRIPT
    for name, word in words.items():
        text = text.replace(name, word)
    script.write_text(text, encoding="utf-8")


def line(kind: str, load: Load, before: Usage, after: Usage) -> str:
    """One result."""
    if load.wrong:
        return f"{kind}: no result, {load.wrong} answers of {load.requests} were wrong"
    cpu_seconds = after.cpu_seconds - before.cpu_seconds
    rate = load.requests / load.seconds
    return (
        f"{kind}: {rate:,.0f}/s (target {_TARGETS[kind]:,}), p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms,"
        f" {cpu_seconds / load.requests * 1e6:.0f} CPU us each, so {load.requests / cpu_seconds:,.0f}/s for a core;"
        f" memory {before.resident_mib:.0f} -> {after.resident_mib:.0f} MiB"
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m bench.authserver", description=__doc__)
    parser.add_argument("--stores", nargs="+", choices=list(_TARGETS), default=list(_TARGETS))
    parser.add_argument("--tokens", type=int, default=TOKENS, help="how many are stored (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is asked (%(default)s)")
    options = parser.parse_args()
    print(f"{CONNECTIONS} connections, load average {os.getloadavg()[0]:.1f}", flush=True)
    for kind in options.stores:
        with tempfile.TemporaryDirectory(prefix="extauthz-bench-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
            for result in run(kind, Path(name), tokens=options.tokens, seconds=options.seconds):
                print(line(kind, *result), flush=True)


if __name__ == "__main__":
    main()
