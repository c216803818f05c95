"""The shape of `extauthz.yaml`. What an operator may write is all here; the types are in `fields`.

Fields stand in an order that matters: a rule that compares two of them belongs to the later one.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from extauthz.config.credentials import Client, ClientTls, check_client, refuse_plain_http
from extauthz.config.fields import (
    CacheBytes,
    Connections,
    Dialects,
    DrainDelay,
    Entries,
    Flag,
    Leeway,
    Lifetime,
    ListenAddress,
    Retries,
    ServerName,
    Settle,
    SocketMode,
    Text,
    Texts,
    Timeout,
    TrustedNetwork,
    Url,
    Waiting,
    Workers,
)
from extauthz.config.jwt import Jwt, Mode, check_keys_url, check_mode
from extauthz.config.limits import Batch, Circuit, InactiveLimit, Tokens
from extauthz.config.presets import Preset, with_preset
from extauthz.config.recording import Audit, Log, Tracing
from extauthz.config.section import Section
from extauthz.config.sharing import Ops, SharedCache
from extauthz.config.values import Misfit, Missing

LIVE: Final = frozenset({"policy", "candidate", "log", "drain_delay"})
"""Keys that a reload applies. All others take a restart: listeners, caches and connections are made from them."""


class Listen(Section):
    """Where we listen: `gateway` for the gateways, `ops` for health and metrics, `grpc` for the grpcio server."""

    gateway: ListenAddress = Field(examples=["127.0.0.1:9191"])
    ops: ListenAddress = Field(examples=["127.0.0.1:9192"])
    grpc: ListenAddress | None = None

    @field_validator("ops", "grpc")
    @classmethod
    def _of_its_own(cls, address: ListenAddress, info: ValidationInfo) -> ListenAddress:
        for name, other in info.data.items():
            if other == address:
                raise Misfit(f"{name} listens here already: each needs an address of its own")
        return address


class Cache(Section):
    """How long answers are kept, in seconds, and how many; a `ttl` of 0 keeps none."""

    ttl: Lifetime = 60.0
    negative_ttl: Lifetime = 10.0
    stale_if_error: Lifetime = 0.0
    max_entries: Entries = 100_000
    max_bytes: CacheBytes = 256 * 1024 * 1024


class Compat(Section):
    """What this server's answers may be beside the standard, and what they must be beyond it."""

    scope_array: Flag = False
    string_active: Flag = False
    string_exp: Flag = False
    require_token_type: Flag = False


class AuthorizationServer(Section):
    """A server that knows what tokens mean. `timeout` and `leeway` are in seconds."""

    preset: Preset | None = None
    issuer: Url | None = Field(default=None, examples=["https://as.example.com"])
    unsafe_allow_plain_http: Flag = False
    discovery: Flag = Field(default=False, validate_default=True)
    jwt: Jwt = Jwt()
    mode: Mode = Field(default="introspect")
    introspection_endpoint: Url | None = Field(
        default=None, validate_default=True, examples=["https://as.example.com/oauth2/introspect"]
    )
    tls: ClientTls = ClientTls()
    client: Client | None = Field(
        default=None, validate_default=True, examples=["{id: gateway, secret: {file: /run/secrets/gateway}}"]
    )
    timeout: Timeout = 0.5
    leeway: Leeway = 60.0
    token_type_hint: Literal["access_token", "none"] = "access_token"  # noqa: S105 - a kind of token
    compat: Compat = Compat()
    max_connections: Connections = 100
    max_waiting: Waiting = 1000
    retries: Retries = 1
    circuit: Circuit = Circuit()
    batch: Batch = Batch()
    tokens: Tokens = Tokens()
    self_check: Flag = True
    cache: Cache = Cache()

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, written: object) -> object:
        return with_preset(written)

    @field_validator("discovery")
    @classmethod
    def _from_an_issuer(cls, discovery: bool, info: ValidationInfo) -> bool:
        issuer = info.data.get("issuer", "")
        if discovery and issuer is None:
            raise Missing("issuer")
        if discovery:
            refuse_plain_http(issuer, allowed=info.data.get("unsafe_allow_plain_http", True))
        return discovery

    @field_validator("jwt")
    @classmethod
    def _keys_arrive_unchanged(cls, jwt: Jwt, info: ValidationInfo) -> Jwt:
        check_keys_url(jwt, allowed=info.data.get("unsafe_allow_plain_http", True))
        return jwt

    @field_validator("mode")
    @classmethod
    def _has_keys(cls, mode: Mode, info: ValidationInfo) -> Mode:
        check_mode(mode, info.data)
        return mode

    @field_validator("introspection_endpoint")
    @classmethod
    def _known_and_encrypted(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None and info.data.get("discovery") is False and info.data.get("mode", "jwt") != "jwt":
            raise Missing("introspection_endpoint")
        refuse_plain_http(url or "", allowed=info.data.get("unsafe_allow_plain_http", True))
        return url

    @field_validator("client")
    @classmethod
    def _can_prove_who_we_are(cls, client: Client | None, info: ValidationInfo) -> Client | None:
        if client is None and info.data.get("mode", "jwt") != "jwt":
            raise Missing("client")
        if client is not None:
            check_client(client, info.data)
        return client

    @field_validator("batch")
    @classmethod
    def _encrypted_too(cls, batch: Batch, info: ValidationInfo) -> Batch:
        allowed = info.data.get("unsafe_allow_plain_http", True)
        refuse_plain_http(batch.endpoint or "", allowed=allowed, at=("endpoint",))
        return batch


def _refuse_everyone(network: TrustedNetwork, info: ValidationInfo) -> TrustedNetwork:
    if network.prefixlen == 0 and not info.data.get("unsafe_trust_everyone", True):
        raise Misfit("this trusts every host there is: name the networks of your gateways")
    return network


class Socket(Section):
    """Who may connect to a Unix socket that we listen on: its mode, and its group if it is not our own."""

    mode: SocketMode = 0o660
    group: Text | None = None


class Tls(Section):
    """Certificates of the gateway listener: our own, who signs those of gateways, and which names they may have."""

    certificate: Text = Field(examples=["/etc/extauthz/tls.crt"])
    key: Text = Field(examples=["/etc/extauthz/tls.key"])
    client_ca: Text | None = None
    client_names: Texts | None = None

    @field_validator("client_names")
    @classmethod
    def _of_signed_certificates(cls, names: Texts | None, info: ValidationInfo) -> Texts | None:
        if names and info.data.get("client_ca") is None:
            raise Misfit("names of certificates mean nothing until client_ca: says who may have signed them")
        return names


class Reload(Section):
    """Whether a change of the files is noticed by itself, and how long they must be quiet before they are read."""

    watch: Flag = True
    settle: Settle = 0.2


class ServiceFile(Section):
    """`extauthz.yaml`. `drain_delay` is in seconds."""

    grpc_server: Literal["h2corn", "grpcio"] = "h2corn"
    listen: Listen = Field(examples=["{gateway: 127.0.0.1:9191, ops: 127.0.0.1:9192}"])
    tls: Tls | None = None
    socket: Socket = Socket()
    on_outage: Literal["deny", "gateway"] = "deny"
    context_extensions: Flag = False
    workers: Workers = 1
    drain_delay: DrainDelay = 5.0
    dialects: Dialects = ("nginx",)
    trust_route_header: Flag = False
    unsafe_trust_everyone: Flag = False
    trusted_proxies: tuple[Annotated[TrustedNetwork, AfterValidator(_refuse_everyone)], ...] = ()
    inactive_limit: InactiveLimit | None = None
    shared_cache: SharedCache | None = None
    ops: Ops = Ops()
    policy: Text = Field(examples=["policy.yaml"])
    candidate: Text | None = None
    authorization_servers: dict[ServerName, AuthorizationServer] = Field(
        examples=["{main: {introspection_endpoint: …, client: …}}"]
    )
    audit: Audit = Audit()
    log: Log = Log()
    tracing: Tracing | None = None
    reload: Reload = Reload()

    @field_validator("listen")
    @classmethod
    def _fits_the_grpc_server(cls, listen: Listen, info: ValidationInfo) -> Listen:
        server = info.data.get("grpc_server")
        if server == "grpcio" and listen.grpc is None:
            raise Misfit("grpc_server: grpcio has a port of its own: write grpc: 127.0.0.1:9193 here")
        if server == "h2corn" and listen.grpc is not None:
            raise Misfit("h2corn answers gRPC on the gateway address: take grpc out", at=("grpc",))
        return listen

    @field_validator("tls")
    @classmethod
    def _on_our_tcp_listener(cls, tls: Tls | None, info: ValidationInfo) -> Tls | None:
        if tls is not None and info.data.get("grpc_server") == "grpcio":
            raise Misfit("TLS is spoken on the gateway address alone: take out grpc_server: grpcio, or tls")
        listen = info.data.get("listen")
        if tls is not None and listen is not None and listen.gateway.path:
            raise Misfit("TLS is for TCP: a Unix socket is guarded by socket.mode and socket.group")
        return tls

    @field_validator("authorization_servers")
    @classmethod
    def _at_least_one(cls, servers: dict[str, AuthorizationServer]) -> dict[str, AuthorizationServer]:
        if not servers:
            raise Misfit("describe at least one authorization server")
        return servers


def restart_keys(now: ServiceFile, new: ServiceFile) -> tuple[str, ...]:
    """The keys that differ and take a restart, in the order of the schema; a section is named as a whole."""
    names = [name for name in ServiceFile.model_fields if name not in LIVE]
    return tuple(name for name in names if getattr(now, name) != getattr(new, name))
