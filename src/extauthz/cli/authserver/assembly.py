"""The parts of a running authorization server, put together from a configuration that is known to be good."""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from extauthz.authserver.anomaly import AnomalyRules
from extauthz.authserver.asgi import Application, create_app
from extauthz.authserver.audit import FileRecord, Record, StoreRecord
from extauthz.authserver.cleanup import clean_up
from extauthz.authserver.guard import Guard, GuardRules
from extauthz.authserver.limiting import Counts, MemoryCounts, RedisCounts
from extauthz.authserver.metrics import Metrics
from extauthz.authserver.service import Service
from extauthz.authserver.signing import SigningKeys
from extauthz.authserver.store.base import Store
from extauthz.authserver.watch import Watch
from extauthz.authserver.webhook import Webhook
from extauthz.config.authserver_load import AuthServerConfig

_STDOUT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is served, what is counted, and what runs beside until it is cancelled."""

    app: Application
    metrics: Metrics
    background: tuple[Coroutine[object, object, None], ...]


def assemble(config: AuthServerConfig, store: Store, *, on_revoked: Callable[[], None]) -> Parts:
    """Put the server together. `on_revoked` is called whenever the store has a new notice of revocation.

    Raises `ValueError` for an issuer or a signing key that cannot be used, `OSError` for a key that cannot be read or an audit file that cannot be written.
    """
    settings = config.settings
    keys = [config.folder / key for key in settings.signing_keys]
    signing = SigningKeys.load(keys) if keys else None
    service = Service(store, settings.issuer, time.time, signing=signing, on_revoked=on_revoked)
    metrics = Metrics()
    record = _record(config, store, metrics.audit_lost)
    webhook = _webhook(config, metrics.alerts_lost)
    counts = _counts(config)
    watch = Watch(
        record=record,
        metrics=metrics,
        rules=_anomaly_rules(config),
        webhook=webhook,
        tallies=counts if isinstance(counts, RedisCounts) else None,
    )
    app = create_app(
        service,
        batch=settings.batch,
        mutual_tls=settings.tls is not None and settings.tls.client_ca is not None,
        guard=Guard(_guard_rules(config), counts),
        observe=watch.saw,
    )
    cleaning = clean_up(store, time.time, every_seconds=settings.cleanup_every, keep_events_seconds=settings.audit_keep)
    beside = tuple(part.run() for part in (record, webhook, watch.bursts) if part is not None)
    return Parts(app=app, metrics=metrics, background=(cleaning, *beside))


def _record(config: AuthServerConfig, store: Store, on_loss: Callable[[int], None]) -> Record | None:
    match config.settings.audit:
        case "off":
            return None
        case "store":
            return StoreRecord(store, on_loss=on_loss)
        case "stdout":
            return FileRecord(_STDOUT, on_loss=on_loss)
        case path:
            record = FileRecord(str(config.folder / path), on_loss=on_loss)
            record.check()  # a mistake is told now; what fails later is counted
            return record


def _webhook(config: AuthServerConfig, on_loss: Callable[[int], None]) -> Webhook | None:
    url = config.settings.anomalies.webhook
    return None if url is None else Webhook(url, config.webhook_token, on_loss=on_loss)


def _counts(config: AuthServerConfig) -> Counts:
    limits = config.settings.limits
    if limits.redis is None:
        return MemoryCounts(time.monotonic)
    ca = None if limits.redis_ca is None else config.folder / limits.redis_ca
    return RedisCounts(limits.redis, time.monotonic, password=config.redis_password, ca=ca)


def _guard_rules(config: AuthServerConfig) -> GuardRules:
    limits = config.settings.limits
    return GuardRules(
        requests_per_client=limits.requests_per_client,
        requests_per_address=limits.requests_per_address,
        inactive_per_client=limits.inactive_per_client,
        failures_per_client=limits.failures_per_client,
        failures_per_address=limits.failures_per_address,
        trusted_proxies=config.settings.trusted_proxies,
    )


def _anomaly_rules(config: AuthServerConfig) -> AnomalyRules:
    anomalies = config.settings.anomalies
    return AnomalyRules(
        inactive_per_client=anomalies.inactive_per_client,
        unknown_tokens_per_client=anomalies.unknown_tokens_per_client,
        failures_per_client=anomalies.failures_per_client,
        failures_per_address=anomalies.failures_per_address,
        new_address=anomalies.new_address,
    )
