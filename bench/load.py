"""The load generators, and what they say: wrk for HTTP through a gateway, h2load for gRPC."""

import json
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extauthz.cli.processes import MissingProgram
from extauthz.wire.envoy.service import CHECK_PATH

CONNECTIONS = 16
STREAMS = 64

_HINT = "apt-get install wrk nghttp2-client nginx libnginx-mod-http-set-misc redis-server postgresql"
_SECONDS_TO_END = 30
_SYSTEM_FOLDERS = ":/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of a load generator saw.

    Attributes:
        requests: answers that arrived.
        seconds: how long it ran.
        wrong: answers that were not an allow, and requests that got none.
    """

    requests: int
    seconds: float
    wrong: int
    p50_ms: float
    p99_ms: float
    p999_ms: float


def check_programs() -> None:
    """Raise `MissingProgram` naming all that have to be installed first."""
    missing = [name for name in ("wrk", "h2load", "nginx", "redis-server") if _find(name) is None]
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        missing.append("postgresql")
    if missing:
        raise MissingProgram(f"not installed: {', '.join(missing)}. {_HINT}")


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDERS)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent of these do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def wrk(port: int, script: Path, seconds: float, *, pairs: int, connections: int = CONNECTIONS) -> Load:
    """Walk tokens and routes through a gateway, that many pairs of them over and over."""
    return run_wrk(port, script, seconds, str(pairs), connections=connections)


def run_wrk(port: int, script: Path, seconds: float, *arguments: str, connections: int = CONNECTIONS) -> Load:
    """Send what the script makes; it ends by printing a line of JSON with the members of `Load`, times in microseconds."""
    whole = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = json.loads(_run([*command, "--", *arguments], whole).splitlines()[-1])
    return Load(
        requests=said["requests"],
        seconds=said["microseconds"] / 1e6,
        wrong=said["wrong"],
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        p999_ms=said["p999_us"] / 1e3,
    )


def h2load(port: int, messages: Sequence[bytes], seconds: float) -> Load:
    """Send each message over and over, one after the other, for so many seconds in all.

    h2load takes one body for a run, so this is a few short runs. It cannot walk 1,000 tokens, and it takes any answer
    with status 200 for good: what the answers say has to be checked elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="extauthz-bench-") as folder:
        runs = [_h2load(port, message, seconds / len(messages), Path(folder)) for message in messages]
        waits = sorted(wait for _, waits in runs for wait in waits)
    return Load(
        requests=sum(good for (good, _), _ in runs),
        seconds=seconds,
        wrong=sum(failures for (_, failures), _ in runs),
        p50_ms=percentile(waits, 50),
        p99_ms=percentile(waits, 99),
        p999_ms=percentile(waits, 99.9),
    )


def _h2load(port: int, message: bytes, seconds: float, folder: Path) -> tuple[tuple[int, int], list[float]]:
    """Good answers and failures; the wait for each, in milliseconds."""
    body, log = folder / "body", folder / "log"
    body.write_bytes(b"\0" + len(message).to_bytes(4) + message)
    log.unlink(missing_ok=True)
    options = ["-c1", "-t1", f"-m{STREAMS}", f"-D{round(seconds * 1e3)}ms", f"--data={body}", f"--log-file={log}"]
    headers = ["-Hcontent-type: application/grpc", "-Hte: trailers", "-Hgrpc-timeout: 1000m"]
    said = _run(["h2load", *options, *headers, f"http://127.0.0.1:{port}{CHECK_PATH}"], seconds)
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    waits = [int(microseconds) / 1e3 for _, _, microseconds in lines]
    return (_number(said, r"(\d+) 2xx"), _failures(said)), waits


def _failures(said: str) -> int:
    patterns = (r"(\d+) failed", r"(\d+) errored", r"(\d+) timeout", r"(\d+) 3xx", r"(\d+) 4xx", r"(\d+) 5xx")
    return sum(_number(said, pattern) for pattern in patterns)


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{pattern} is not in what the load generator says:\n{text}")
    return int(found[1])


def _run(command: list[str], seconds: float) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + _SECONDS_TO_END)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
