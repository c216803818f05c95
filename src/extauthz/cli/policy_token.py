"""What a real token means: the authorization server of a route is asked once, nothing is kept and nothing recorded."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from extauthz.app import build, check_options
from extauthz.cli.policy_files import DEFAULT_CONFIG, fail
from extauthz.config.faults import ConfigError
from extauthz.config.load import ServiceConfig, load_service
from extauthz.config.recording import Audit
from extauthz.core.bearer import extract
from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.policy import Rule
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.logs import configure
from extauthz.wire.envoy.service import Options

_DISCOVERY_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class Asked(NamedTuple):
    """What a token means, and how the service that would be asked answers Envoy."""

    state: TokenState
    options: Options = Options()


def live_state(config: Path | None, rule: Rule, text: str) -> Asked:
    """The state of the token at the authorization servers of the rule, asked anew."""
    token = extract((f"Bearer {text}",))
    if isinstance(token, Reason):
        return Asked(Inactive(reason=token))
    try:
        service = load_service(config or DEFAULT_CONFIG, os.environ)
    except ConfigError as error:
        fail(str(error))
    configure("warning", "console")  # on standard error: the answer has standard output for itself
    return Asked(asyncio.run(_ask(_alone(service), rule, token)), check_options(service.settings))


def _alone(config: ServiceConfig) -> ServiceConfig:
    """The same service without a record and without what it shares with others."""
    changes = {"audit": Audit(path="off"), "shared_cache": None, "tracing": None}
    settings = config.settings.model_copy(update=changes)
    return replace(config, settings=settings, own=replace(config.own, shared_keys=()))


async def _ask(config: ServiceConfig, rule: Rule, token: Token) -> TokenState:
    service = build(config)
    service.start()
    discovers = any(server.discovery for server in config.settings.authorization_servers.values())
    left = _DISCOVERY_SECONDS if discovers else 0.0
    try:
        while True:
            found = await service.resolver.resolve(rule.authorization_server, token, Terms(max_age=0.0))
            if not isinstance(found.state, Unavailable) or left <= 0:
                return found.state
            left -= _PAUSE_SECONDS
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        await service.close()
