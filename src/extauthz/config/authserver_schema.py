"""The shape of `authserver.yaml`, the file of the embedded authorization server.

Fields stand in an order that matters: a rule that compares two of them belongs to the later one.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from extauthz.config.clients_file import refuse_plain
from extauthz.config.credentials import SecretSource
from extauthz.config.faults import nearest
from extauthz.config.fields import Flag, ListenAddress, Pause, PerMinute, Text, TrustedNetwork, Url, Workers
from extauthz.config.section import Section
from extauthz.config.store_address import StoreAddress, parse_store
from extauthz.config.values import Misfit, on_loopback, parse_duration, parse_text

_AUDIT_WORDS = ("off", "stdout", "store")
_DAYS = re.compile(r"([0-9]{1,5})d")
_DAY_SECONDS = 86_400.0
_LEAST_KEPT_SECONDS = 3600.0
_REDIS = re.compile(r"rediss?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[0-9]{1,4})?")


def _check_audit(text: str) -> str:
    if text not in _AUDIT_WORDS and "/" not in text:
        raise Misfit("write off, stdout, store, or a file with a / in its path", hint=nearest(text, _AUDIT_WORDS))
    return text


def _check_redis(text: str) -> str:
    if _REDIS.fullmatch(text) is None:
        raise Misfit("write rediss://redis.example.com:6379/0; a password has a place of its own, redis_password")
    return text


def _parse_retention(value: object) -> float:
    """Seconds; 0 for ever."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    days = _DAYS.fullmatch(value) if isinstance(value, str) else None
    seconds = parse_duration(value) if days is None else float(days[1]) * _DAY_SECONDS
    if 0 < seconds < _LEAST_KEPT_SECONDS:
        raise Misfit("write at least 1h, such as 30d, or 0 to keep all")
    return seconds


def check_webhook(url: str) -> str:
    if urlsplit(url).scheme == "http" and not on_loopback(url):
        raise Misfit("use https: what is told would cross the network in plain text")
    return url


Store = Annotated[StoreAddress, PlainValidator(lambda value: parse_store(parse_text(value)))]
Audit = Annotated[Text, AfterValidator(_check_audit)]
Redis = Annotated[Text, AfterValidator(_check_redis)]
Retention = Annotated[float, PlainValidator(_parse_retention)]
Webhook = Annotated[Url, AfterValidator(check_webhook)]
Source = Annotated[SecretSource, BeforeValidator(refuse_plain)]


class ServerTls(Section):
    """Certificates of the listener; with `client_ca`, clients may prove themselves by theirs."""

    certificate: Text = Field(examples=["/etc/extauthz/tls.crt"])
    key: Text = Field(examples=["/etc/extauthz/tls.key"])
    client_ca: Text | None = None


class Limits(Section):
    """All in a minute. With `redis`, all workers and servers count together; else each worker counts alone."""

    requests_per_client: PerMinute | None = None
    requests_per_address: PerMinute | None = None
    inactive_per_client: PerMinute | None = None
    failures_per_client: PerMinute = 30
    failures_per_address: PerMinute = 60
    redis: Redis | None = None
    redis_password: Source | None = None
    redis_ca: Text | None = None

    @field_validator("redis_password")
    @classmethod
    def _of_redis(cls, source: SecretSource | None, info: ValidationInfo) -> SecretSource | None:
        if source is not None and info.data.get("redis") is None:
            raise Misfit("a password of no Redis: write redis: too")
        return source

    @field_validator("redis_ca")
    @classmethod
    def _of_redis_with_tls(cls, file: str | None, info: ValidationInfo) -> str | None:
        if file is not None and not (info.data.get("redis") or "").startswith("rediss://"):
            raise Misfit("an authority is asked for only with TLS: write redis: rediss://…")
        return file


class Anomalies(Section):
    """What raises an alert; numbers count within a minute."""

    inactive_per_client: PerMinute = 300
    unknown_tokens_per_client: PerMinute = 100
    failures_per_client: PerMinute = 20
    failures_per_address: PerMinute = 20
    new_address: Flag = True
    webhook: Webhook | None = None
    webhook_token: Source | None = None

    @field_validator("webhook_token")
    @classmethod
    def _of_a_webhook(cls, source: SecretSource | None, info: ValidationInfo) -> SecretSource | None:
        if source is not None and info.data.get("webhook") is None:
            raise Misfit("a token for no webhook: write webhook: too")
        return source


class Notify(Section):
    """Who is told at once which tokens were revoked: `POST /revoke` at the ops listeners of extauthz."""

    urls: tuple[Webhook, ...] = Field(examples=["[http://127.0.0.1:9192/revoke]"])
    token: Source = Field(examples=["{file: /run/secrets/ops-token}"])


class AuthServerFile(Section):
    """`authserver.yaml`. `audit_keep` and `cleanup_every` are in seconds."""

    listen: ListenAddress = Field(examples=["127.0.0.1:9190"])
    ops: ListenAddress | None = None
    issuer: Url = Field(examples=["https://as.example.com"])
    store: Store = Field(examples=["sqlite:////var/lib/extauthz/as.db"])
    store_password: Source | None = None
    tls: ServerTls | None = None
    trusted_proxies: tuple[TrustedNetwork, ...] = ()
    limits: Limits = Limits()
    audit: Audit = "stdout"
    audit_keep: Retention = 30 * _DAY_SECONDS
    anomalies: Anomalies = Anomalies()
    notify: Notify | None = None
    signing_keys: tuple[Text, ...] = ()
    cleanup_every: Pause = 60.0
    batch: Flag = False
    workers: Workers = 1

    @field_validator("ops")
    @classmethod
    def _of_its_own(cls, ops: ListenAddress | None, info: ValidationInfo) -> ListenAddress | None:
        if ops is not None and ops == info.data.get("listen"):
            raise Misfit("clients are served here already: metrics need an address of their own")
        return ops

    @field_validator("store_password")
    @classmethod
    def _of_postgresql(cls, source: SecretSource | None, info: ValidationInfo) -> SecretSource | None:
        store = info.data.get("store")
        if source is not None and isinstance(store, StoreAddress) and store.path:
            raise Misfit("a file of SQLite has no password: take this out")
        return source
