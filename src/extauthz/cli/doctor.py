"""`extauthz doctor`: whether the gateway in front of us is as strict as it looks."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click
import httpx

from extauthz.cli.table import harmless
from extauthz.config.faults import ConfigError
from extauthz.doctor.envoy_release import ask_release
from extauthz.doctor.expected import Expected, load_expected
from extauthz.doctor.findings import Finding, Severity
from extauthz.doctor.nginx import examine_nginx
from extauthz.doctor.nginx_includes import beside
from extauthz.doctor.probe import MAX_REQUESTS, open_client, probe

UNUSABLE = 2
"""Exit status for wrong usage, and for files that cannot be read."""

_COLOURS = {Severity.ERROR: "bright_red", Severity.WARNING: "bright_yellow", Severity.OK: "green"}
_COUNTED = {Severity.ERROR: "wrong", Severity.WARNING: "doubtful", Severity.OK: "good"}
_LAST_PORT = 65535
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--config", "config_path", type=_FILE, help="extauthz.yaml: what the gateway has to fit.")
@click.option("--envoy", type=_FILE, help="Envoy's bootstrap file.")
@click.option("--envoy-admin", help="Address of a running Envoy's admin interface: which release is it?")
@click.option("--nginx", type=_FILE, help="nginx.conf, or what nginx -T prints.")
@click.option("--url", help="A running gateway, as clients reach it. With --config, every route is asked.")
@click.option("--unsafe-methods", is_flag=True, help="With --url, also ask with POST, PUT, PATCH, DELETE ...")
@click.option("--max-requests", type=click.IntRange(1), default=MAX_REQUESTS, show_default=True, help="With --url.")
@click.option("--json", "as_json", is_flag=True, help="Findings as one JSON document.")
def doctor(
    config_path: Path | None,
    envoy: Path | None,
    envoy_admin: str | None,
    nginx: Path | None,
    url: str | None,
    *,
    unsafe_methods: bool,
    max_requests: int,
    as_json: bool,
) -> None:
    """Look at the gateway in front of extauthz: at its file, or from outside.

    Says what is wrong, where, why it matters and what to write instead. The exit status is 0 when there is no error,
    1 when there is one, 2 for wrong usage and files that cannot be read.
    """
    if not (envoy or envoy_admin or nginx or url):
        raise click.UsageError("name at least one of --envoy, --envoy-admin, --nginx and --url")
    address = _address("--url", url) if url else None
    admin = _address("--envoy-admin", envoy_admin) if envoy_admin else None
    expected = _expected(config_path)
    findings: list[Finding] = []
    if envoy:
        findings += _envoy_examiner()(_read(envoy), str(envoy), expected)
    if admin:
        with open_client() as client:
            findings.append(ask_release(client, admin))
    if nginx:
        findings += examine_nginx(_read(nginx), str(nginx), expected, beside(nginx.parent))
    if address:
        with open_client() as client:
            routes = expected.routes
            findings += probe(client, address, routes, unsafe_methods=unsafe_methods, max_requests=max_requests)
    (_print_json if as_json else _print)(findings)
    sys.exit(1 if any(each.severity is Severity.ERROR for each in findings) else 0)


def _address(option: str, url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise click.UsageError(f"{option} {url}: {error}") from None
    if address.scheme not in ("http", "https") or not address.host or (address.port or 0) > _LAST_PORT:
        raise click.UsageError(f"{option} {url}: write a whole URL, such as https://api.example.com")
    if address.raw_path not in (b"", b"/") or address.userinfo:
        raise click.UsageError(f"{option}: only scheme, host and port; no path, and no password")
    return address


def _expected(config_path: Path | None) -> Expected:
    try:
        return load_expected(config_path) if config_path else Expected()
    except ConfigError as error:
        _fail(str(error))


def _envoy_examiner() -> Callable[[str, str, Expected], list[Finding]]:
    """Loaded only when it is asked for: the messages of Envoy's API are an extra, and take a while."""
    try:
        from extauthz.doctor.envoy import examine_envoy  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        _fail(f"--envoy needs the messages of Envoy's API ({error.name}): pip install 'extauthz[doctor]'")
    return examine_envoy


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        _fail(f"{path}: {error.strerror}")


def _print(findings: Sequence[Finding]) -> None:
    """Errors first; what is as it should be takes one line each."""
    for each in _sorted(findings):
        click.echo(_paragraph(each))
    counts = Counter(each.severity for each in findings)
    summary = ", ".join(f"{counts[severity]} {name}" for severity, name in _COUNTED.items())
    click.secho(summary, fg=_COLOURS[Severity.ERROR if counts[Severity.ERROR] else Severity.OK])


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return [each for severity in Severity for each in findings if each.severity is severity]


def _paragraph(finding: Finding) -> str:
    head = click.style(f"{finding.severity.value:<8}", fg=_COLOURS[finding.severity])
    if finding.severity is Severity.OK:
        return head + harmless(finding.what) + click.style(f"   {harmless(finding.where)}", dim=True)
    lines = (("where", finding.where), ("why", finding.why), ("fix", finding.fix))
    rest = [click.style(f"\n        {name:<6}", dim=True) + harmless(text) for name, text in lines]
    return "".join((head, click.style(harmless(finding.what), bold=True), *rest, "\n"))


def _print_json(findings: Sequence[Finding]) -> None:
    counts = Counter(each.severity.value for each in findings)
    document = {
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "findings": [asdict(each) for each in _sorted(findings)],
    }
    click.echo(json.dumps(document, indent=2))


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(UNUSABLE)
