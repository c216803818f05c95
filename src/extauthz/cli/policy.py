"""`extauthz policy`: tools for whoever writes policies. None of them starts or changes the service."""

import click

from extauthz.cli.policy_check import check, routes
from extauthz.cli.policy_diff import diff
from extauthz.cli.policy_explain import explain
from extauthz.cli.policy_schema import schema
from extauthz.cli.policy_test import test


@click.group()
def policy() -> None:
    """Check, explain, test and compare policies."""


for command in (check, routes, explain, test, diff, schema):
    policy.add_command(command)
