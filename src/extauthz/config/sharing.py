"""What processes share, as the file has it: the sections `shared_cache` and `ops`. Times in seconds.

Fields stand in an order that matters: a rule that compares two of them belongs to the later one.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from extauthz.config.credentials import ClientTls, SecretSource, refuse_plain_secret
from extauthz.config.fields import Flag, RedisPrefix, Text, Timeout
from extauthz.config.section import Section
from extauthz.config.values import Misfit, Missing, is_loopback, parse_text

_TCP = re.compile(r"(rediss?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:/([0-9]{1,4})?)?")
_UNIX = re.compile(r"unix://(/[^?#]+)")
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """Where a Redis, or a Sentinel of it, is."""

    host: str = ""
    port: int = 0
    database: int = 0
    path: str = ""
    tls: bool = False


def _parse_url(value: object) -> RedisUrl:
    text = parse_text(value)
    if "@" in text:
        raise Misfit("a URL carries no user name or password here: write username: and password: beside it")
    unix = _UNIX.fullmatch(text)
    if unix is not None:
        return RedisUrl(path=unix[1])
    tcp = _TCP.fullmatch(text)
    if tcp is None or int(tcp[3] or 1) not in _PORTS:
        raise Misfit("write rediss://redis.example.com:6379/0, redis://127.0.0.1:6379/0 or unix:///run/redis.sock")
    host, port, database = tcp[2].strip("[]").lower(), int(tcp[3] or 6379), int(tcp[4] or 0)
    return RedisUrl(host=host, port=port, database=database, tls=tcp[1] == "rediss")


def _parse_urls(value: object) -> tuple[RedisUrl, ...]:
    if isinstance(value, list | tuple):
        if not value:
            raise Misfit("name at least one address")
        return tuple(map(_parse_url, value))
    return (_parse_url(value),)


RedisUrls = Annotated[
    tuple[RedisUrl, ...],
    PlainValidator(_parse_urls),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Source = Annotated[SecretSource, BeforeValidator(refuse_plain_secret)]


class SharedCache(Section):
    """The cache that processes share, in Redis."""

    mode: Literal["single", "sentinel", "cluster"] = "single"
    unsafe_allow_plain_text: Flag = False
    redis: RedisUrls = Field(examples=["rediss://redis.example.com:6379/0"])
    service: Text | None = Field(default=None, validate_default=True, examples=["mymaster"])
    username: Text | None = None
    password: Source | None = None
    sentinel_password: Source | None = None
    tls: ClientTls = ClientTls()
    keys: Source = Field(examples=["{file: /run/secrets/cache-keys}"])
    prefix: RedisPrefix = "extauthz"
    timeout: Timeout = 0.05

    @field_validator("redis")
    @classmethod
    def _fits_the_mode(cls, urls: tuple[RedisUrl, ...], info: ValidationInfo) -> tuple[RedisUrl, ...]:
        mode = info.data.get("mode")
        if mode == "single" and len(urls) > 1:
            raise Misfit("one Redis has one address: write mode: sentinel or mode: cluster for several")
        if mode in ("sentinel", "cluster") and any(url.path for url in urls):
            raise Misfit("a socket leads to one Redis only: write host and port of each")
        if mode == "cluster" and any(url.database for url in urls):
            raise Misfit("a cluster has no databases: take the number out")
        if len({(url.tls, url.database) for url in urls}) > 1:
            raise Misfit("write all addresses alike: rediss or redis, and the same number at the end")
        return urls

    @field_validator("redis")
    @classmethod
    def _encrypted(cls, urls: tuple[RedisUrl, ...], info: ValidationInfo) -> tuple[RedisUrl, ...]:
        plain = [url for url in urls if not (url.tls or url.path or is_loopback(url.host))]
        if plain and not info.data.get("unsafe_allow_plain_text", True):
            raise Misfit(
                "use rediss here: whoever sits between could keep notices of revocation from arriving, and the"
                " password would cross the network in plain text"
            )
        return urls

    @field_validator("service")
    @classmethod
    def _for_sentinel(cls, service: str | None, info: ValidationInfo) -> str | None:
        is_sentinel = info.data.get("mode") == "sentinel"
        if is_sentinel and service is None:
            raise Missing("service")
        if service is not None and not is_sentinel:
            raise Misfit("only Sentinels know services: take this out, or write mode: sentinel")
        return service


class Ops(Section):
    """What an operator may do at the ops listener; without a token, only look."""

    token: Source | None = None
