"""`extauthz policy test`."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click

from extauthz.cli.policy_files import FILE, FOUND, config_option, fail, open_sound, policy_option, read
from extauthz.config.faults import ConfigError
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml
from extauthz.policy_tools.junit import junit
from extauthz.policy_tools.suite import Played, play, untested
from extauthz.policy_tools.suite_file import SuiteFile


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@policy_option
@config_option
@click.option("--junit", "report", type=FILE, help="Write the results there as JUnit XML.")
@click.option("--all-routes", is_flag=True, help="A route that no test reaches is a failure.")
def test(
    files: tuple[Path, ...], policy: Path | None, config: Path | None, report: Path | None, *, all_routes: bool
) -> None:
    """Play tests from YAML files against a policy, and say what ended otherwise than expected.

    The policy is that of --policy or --config, or the one that each file names. The exit status is 0 when all is as
    expected, 1 when something is not, 2 when a file cannot be used.
    """
    now = time.time()
    played: list[Played] = []
    reached: dict[str, list[str]] = {}
    for file in files:
        document = read_yaml(read(file), str(file))
        suite, faults = validate(SuiteFile, document)
        if suite is None:
            fail(str(ConfigError(faults)))
        named = policy or (file.parent / suite.policy if suite.policy and config is None else None)
        source = open_sound(named, config)
        found = play(suite, document, source, now)
        played += found
        left = untested(source, found)
        before = reached.get(source.document.file, left)
        reached[source.document.file] = [name for name in left if name in before]
    _tell(played, reached)
    if report is not None:
        report.write_bytes(junit(played))
    failed = any(each.differences for each in played) or (all_routes and any(reached.values()))
    sys.exit(FOUND if failed else 0)


def _tell(played: Iterable[Played], left: dict[str, list[str]]) -> None:
    cases = [*played]
    for case in cases:
        if case.differences:
            click.echo(f"{case.file}:{case.line}: {case.name}: {case.request}")
            for line in (*case.differences, *case.told):
                click.echo(f"    {line}")
    failed = sum(1 for case in cases if case.differences)
    click.echo(f"{len(cases) - failed} of {len(cases)} requests end as expected")
    for file, names in left.items():
        if names:
            click.echo(f"{file}: no test reaches {', '.join(names)}")
