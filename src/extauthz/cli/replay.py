"""`extauthz replay`: recorded requests to a running instance, at a rate."""

import asyncio
import json
import sys
import time
from pathlib import Path

import click
import httpx

from extauthz.cli.policy_files import FILE, FOUND, fail, read
from extauthz.policy_tools.record import Recorded, read_record
from extauthz.policy_tools.traffic import Sent, Summary, summary, token_for
from extauthz.wire.http import nginx

TIMEOUT_SECONDS = 5.0
MAX_IN_FLIGHT = 1000
"""Questions at once; when so many wait for an answer, the rate is not kept."""

_SHOWN = 20


@click.command()
@click.argument("record", type=FILE)
@click.option("--target", required=True, help="Gateway address of a running extauthz: http://127.0.0.1:9191")
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, help="Requests a second."
)
@click.option(
    "--tokens", "tokens_path", type=FILE, help="JSON: a token for each subject or client that is in the record."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def replay(record: Path, target: str, rate: float, tokens_path: Path | None, *, as_json: bool) -> None:
    """Ask a running instance about the requests of an audit log, and report changed outcomes and latency.

    It is asked as NGINX asks (dialect nginx). An audit log has no tokens: a line that had one is asked again only if
    --tokens has one for its subject or client. The exit status is 1 when an outcome changed or an answer is missing.
    """
    if httpx.URL(target).scheme not in ("http", "https"):
        raise click.UsageError("--target is a URL such as http://127.0.0.1:9191")
    tokens = {} if tokens_path is None else _tokens(tokens_path)
    lines = _lines(record)
    known = [(line, token) for line in lines if (token := token_for(line, tokens)) is not None]
    found = summary(asyncio.run(_send(known, target, rate)))
    left_out = len(lines) - len(known)
    click.echo(_as_json(found, len(known), left_out) if as_json else _as_text(found, len(known), left_out))
    if known and found.unanswered == len(known):
        click.echo(f"nobody answers at {target}: write the gateway address of an instance that runs", err=True)
    sys.exit(FOUND if found.changed or found.unanswered else 0)


def _lines(record: Path) -> list[Recorded]:
    try:
        with record.open("rb") as lines:
            return [line for line in read_record(lines) if line is not None]
    except OSError as error:
        fail(f"{record}: {error.strerror}")


def _as_json(found: Summary, sent: int, left_out: int) -> str:
    document = {
        "sent": sent,
        "left_out": left_out,
        "unanswered": found.unanswered,
        "changed": [
            {"method": method, "path": path, "then": then, "now": now, "count": count}
            for (method, path, then, now), count in found.changed.items()
        ],
        "milliseconds": {name: round(seconds * 1000, 2) for name, seconds in found.percentiles.items()},
    }
    return json.dumps(document, indent=2)


def _as_text(found: Summary, sent: int, left_out: int) -> str:
    changed = [*found.changed.items()]
    lines = [f"{count} x {method} {path}: {then}, now {now}" for (method, path, then, now), count in changed[:_SHOWN]]
    lines += [f"and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else []
    latency = "".join(f", {name} {seconds * 1000:.1f} ms" for name, seconds in found.percentiles.items())
    lines.append(f"{sent} sent, {found.unanswered} unanswered, {left_out} left out for want of a token{latency}")
    return "\n".join(lines)


def _tokens(path: Path) -> dict[str, str]:
    try:
        found = json.loads(read(path))
    except ValueError:
        fail(f"{path}: this is not JSON")
    if not isinstance(found, dict) or not all(isinstance(token, str) for token in found.values()):
        fail(f'{path}: write one JSON object, such as {{"user-1": "its token"}}')
    return found


async def _send(known: list[tuple[Recorded, str]], target: str, rate: float) -> list[Sent]:
    """All of them, each at its time, whether those before have been answered or not."""
    places = asyncio.Semaphore(MAX_IN_FLIGHT)
    limits = httpx.Limits(max_connections=MAX_IN_FLIGHT, max_keepalive_connections=MAX_IN_FLIGHT)
    async with httpx.AsyncClient(base_url=target, timeout=TIMEOUT_SECONDS, limits=limits) as client:
        start = time.monotonic()
        asking = []
        for number, (recorded, token) in enumerate(known):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            await places.acquire()
            task = asyncio.create_task(_ask(client, recorded, token))
            task.add_done_callback(lambda _: places.release())
            asking.append(task)
        return await asyncio.gather(*asking)


async def _ask(client: httpx.AsyncClient, recorded: Recorded, token: str) -> Sent:
    said = {"X-Original-Method": recorded.method, "X-Original-URI": recorded.path, "X-Original-Host": recorded.host}
    said |= {"Authorization": f"Bearer {token}"} if token else {}
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in said.items() if value]
    start = time.monotonic()
    try:
        answer = await client.get(nginx.PATH.decode(), headers=headers)
    except (httpx.HTTPError, ValueError):
        return Sent(recorded, "", 0.0)
    return Sent(recorded, answer.headers.get("x-authz-reason", ""), time.monotonic() - start)
