"""`extauthz policy from-openapi`."""

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from extauthz.cli.policy_files import FILE, FOUND, config_option, fail, open_sound, read
from extauthz.config.faults import ConfigError
from extauthz.policy_tools.openapi import as_policy, described, drift
from extauthz.policy_tools.source import SoundSource, read_policy


@click.command(name="from-openapi")
@click.argument("spec", type=FILE)
@click.option("--check", "policy", type=FILE, help="Compare with this policy instead of writing one.")
@config_option
def from_openapi(spec: Path, policy: Path | None, config: Path | None) -> None:
    """Print a policy with the routes and scopes of an OpenAPI description, or say where a policy differs from it.

    The exit status is 1 when an operation could not be expressed, or when the policy differs.
    """
    found = described(_load(spec))
    text = as_policy(found)
    if policy is None:
        click.echo(text, nl=False)
        for problem in found.problems:
            click.echo(f"{spec}: {problem.where}: {problem.message}", err=True)
        sys.exit(FOUND if found.problems else 0)
    expected = read_policy(text.encode(), f"the routes of {spec}")
    if not isinstance(expected, SoundSource):
        fail(str(ConfigError(expected.judged.faults)))
    problems = drift(found, expected.snapshot.routes, open_sound(policy, config))
    for problem in problems:
        click.echo(f"{problem.where}: {problem.message}")
    click.echo("the policy asks for what is described" if not problems else f"{len(problems)} differences")
    sys.exit(FOUND if problems else 0)


def _load(spec: Path) -> dict[str, Any]:
    try:
        document = yaml.load(read(spec), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:
        fail(f"{spec}: this is neither YAML nor JSON: {error}")
    if not isinstance(document, dict) or "openapi" not in document:
        fail(f"{spec}: this is no OpenAPI description of version 3: it has no openapi: at the top")
    return document
