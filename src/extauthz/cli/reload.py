"""A new policy on SIGHUP, without a restart: it is put in force whole, or the old one stays."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace

from extauthz.app import Service
from extauthz.config.faults import ConfigError
from extauthz.config.load import ServiceConfig
from extauthz.observe.events import Happened, Happening

Load = Callable[[], ServiceConfig]
"""Reads both files. Raises ConfigError with all their faults."""

_RESTART = "extauthz.yaml has changed, which takes a restart; policy.yaml alone can be read again"


async def reload_on_hangup(service: Service, config: ServiceConfig, load: Load) -> None:
    """Put a new policy in force each time that SIGHUP asks for it, until cancelled.

    `config` is what the service was built from: all of it but the policy stays until the end.
    """
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    while True:
        await asked.wait()
        asked.clear()
        service.observer.happened(await _reload(service, config, load))


async def _reload(service: Service, config: ServiceConfig, load: Load) -> Happened:
    """Read in a thread, for a large policy takes a while; judged and compiled before anything changes."""
    try:
        fresh = await asyncio.to_thread(load)
    except ConfigError as error:
        return Happened(what=Happening.POLICY_REFUSED, subject="policy", detail=str(error))
    if fresh.settings != config.settings:
        return Happened(what=Happening.POLICY_REFUSED, subject="policy", detail=_RESTART)
    generation = service.authorizer.policy.generation + 1
    service.authorizer.policy = replace(fresh.snapshot, generation=generation)
    routes = len(fresh.snapshot.routes.rules)
    return Happened(
        what=Happening.POLICY_RELOADED, subject="policy", detail=f"generation {generation}, {routes} routes"
    )
