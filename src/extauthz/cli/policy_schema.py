"""`extauthz policy schema`."""

import json

import click

from extauthz.policy_tools.schema import FILES, json_schema


@click.command()
@click.argument("file", type=click.Choice([*FILES]), default="policy")
def schema(file: str) -> None:
    """Print the JSON Schema of policy.yaml (policy), extauthz.yaml (service) or a file of tests (tests)."""
    click.echo(json.dumps(json_schema(file), indent=2))
