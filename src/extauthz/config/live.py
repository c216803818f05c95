"""Which keys of `extauthz.yaml` take effect while the service runs. Pure."""

from typing import Final

from extauthz.config.schema import ServiceFile

LIVE: Final = frozenset({"policy", "candidate", "log", "drain_delay"})
"""Keys that a reload applies. All others take a restart: listeners, caches and connections are made from them."""


def restart_keys(now: ServiceFile, new: ServiceFile) -> tuple[str, ...]:
    """The keys that differ and take a restart, in the order of the schema; a section is named as a whole."""
    names = [name for name in ServiceFile.model_fields if name not in LIVE]
    return tuple(name for name in names if getattr(now, name) != getattr(new, name))
