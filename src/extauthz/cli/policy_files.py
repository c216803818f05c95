"""The files that policy commands read, and what their exit statuses mean."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from extauthz.config.document import Document
from extauthz.config.faults import ConfigError
from extauthz.config.includes import read_policy_text
from extauthz.config.service_schema import AuthorizationServer, ServiceFile
from extauthz.config.validate import validate
from extauthz.config.yaml_source import MAX_FILE_BYTES, read_yaml
from extauthz.keyfiles import UnusableError, read_file
from extauthz.policy_tools.source import NO_SERVERS, SoundSource, Source, source_of

FOUND = 1
"""Exit status when the command found what it looks for: a difference, a failed test, drift."""

UNUSABLE = 2
"""Exit status when a file has faults or cannot be read."""

FILE = click.Path(path_type=Path, dir_okay=False)
DEFAULT_CONFIG = Path("extauthz.yaml")

policy_argument = click.argument("policy", type=FILE, required=False)
policy_option = click.option(
    "--policy", type=FILE, help="The policy file.  [default: the one that extauthz.yaml names]"
)
config_option = click.option(
    "--config", "config", type=FILE, help="extauthz.yaml: it names the policy file and the authorization servers."
)


def open_policy(policy: Path | None, config: Path | None) -> Source:
    """The policy file, judged together with the authorization servers of extauthz.yaml if that is given or needed."""
    if policy is not None and config is None:
        return source_of(read_document(policy))
    service = _read_service(config or DEFAULT_CONFIG)
    path = policy or (config or DEFAULT_CONFIG).parent / service.policy
    return source_of(read_document(path), service.authorization_servers)


def open_sound(policy: Path | None, config: Path | None) -> SoundSource:
    """The same for commands that can do nothing with a file that has faults."""
    source = open_policy(policy, config)
    if not isinstance(source, SoundSource):
        fail(str(ConfigError(source.judged.faults)))
    return source


def servers_of(config: Path | None) -> Mapping[str, AuthorizationServer]:
    """The authorization servers of extauthz.yaml, if it is given."""
    return NO_SERVERS if config is None else _read_service(config).authorization_servers


def read_document(path: Path) -> Document:
    """A policy file with all that it includes; whoever named one that cannot be read is told."""
    try:
        return read_policy_text(path)
    except UnusableError as error:
        fail(f"{path}: {error}")


def read(path: Path) -> bytes:
    """What the file holds, likewise."""
    try:
        return read_file(path, MAX_FILE_BYTES)
    except UnusableError as error:
        hint = "; name a policy file, or extauthz.yaml with --config" if path == DEFAULT_CONFIG else ""
        fail(f"{path}: {error}{hint}")


def fail(message: str) -> NoReturn:
    """Say why there is nothing to do, and end."""
    click.echo(message, err=True)
    sys.exit(UNUSABLE)


def _read_service(path: Path) -> ServiceFile:
    service, faults = validate(ServiceFile, read_yaml(read(path), str(path), private=True))
    if service is None:
        fail(str(ConfigError(faults)))
    return service
