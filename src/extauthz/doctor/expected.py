"""What our own two files say about the gateway in front: which headers we send, how long we may take, which routes.

Secrets are not read: whoever looks at a gateway does not need them.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from extauthz.config.document import Document
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.includes import read_policy_text
from extauthz.config.judge import judge_policy
from extauthz.config.policy_schema import Defaults
from extauthz.config.service_schema import ServiceFile
from extauthz.config.validate import described_servers, validate
from extauthz.config.yaml_source import read_yaml
from extauthz.core.routes import RouteTable
from extauthz.keyfiles import UnusableError

FAILURE_MODE_HEADER = "x-envoy-auth-failure-mode-allowed"
"""Envoy's own mark for a request that passed unchecked; every allow of ours removes it."""

MARGIN_SECONDS = 0.1
"""How much longer than our question to the authorization server a gateway has to wait for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the gateway has to fit.

    Attributes:
        identity_headers: names that the policy forwards; the default ones when no policy is known.
        introspection_seconds: the longest timeout of an authorization server; None when it is not known.
        routes: the policy's routes; None when they are not known.
    """

    identity_headers: tuple[str, ...] = tuple(Defaults().identity_headers)
    introspection_seconds: float | None = None
    routes: RouteTable | None = None

    @property
    def patience_seconds(self) -> float | None:
        """What the gateway has to wait at least; None when that is not known."""
        return None if self.introspection_seconds is None else self.introspection_seconds + MARGIN_SECONDS

    @property
    def uses_hosts(self) -> bool:
        """Whether a route is for one host only."""
        return self.routes is not None and self.routes.uses_hosts

    @property
    def removed_headers(self) -> tuple[str, ...]:
        """What an allow removes besides the identity headers themselves."""
        others = (twin for name in self.identity_headers for twin in twins(name) if twin != name)
        return (*others, FAILURE_MODE_HEADER)


def twins(name: str) -> tuple[str, ...]:
    """Every joining of the words of a header name by `-`, `_` and `.`; many an application reads them as one."""
    first, *rest = name.split("-")
    joints = itertools.product("-_.", repeat=len(rest))
    return tuple(first + "".join(map("".join, zip(joint, rest, strict=True))) for joint in joints)


def load_expected(path: Path) -> Expected:
    """Read `extauthz.yaml` and the policy file that it names.

    Raises:
        ConfigError: with all faults of the first of the two that has some.
    """
    service = _read(path)
    settings, faults = validate(ServiceFile, service)
    if settings is None:
        raise ConfigError(faults)
    document = _read_policy(path.parent / settings.policy)
    judged = judge_policy(document, settings.authorization_servers, described_servers(service))
    if judged.snapshot is None:
        raise ConfigError(judged.faults)
    return Expected(
        identity_headers=tuple(judged.policy.defaults.identity_headers),
        introspection_seconds=max(server.timeout for server in settings.authorization_servers.values()),
        routes=judged.snapshot.routes,
    )


def _read(path: Path) -> Document:
    try:
        return read_yaml(path.read_bytes(), str(path), private=True)
    except OSError as error:
        raise _unreadable(path, f"this file cannot be read: {error.strerror}") from None


def _read_policy(path: Path) -> Document:
    try:
        return read_policy_text(path)
    except UnusableError as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: Path, message: str) -> ConfigError:
    return ConfigError([Fault(file=str(path), line=1, column=1, message=message)])
