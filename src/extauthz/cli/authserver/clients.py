"""`extauthz client`: register clients, list, rotate, disable and enable them."""

import json
import secrets
import time
from pathlib import Path

import click

from extauthz.authserver.registry import Wanted, carry_out, plan_step, rotate_secret, set_disabled
from extauthz.authserver.store.base import AuthMethod, ClientRecord, DuplicateClientError, Store
from extauthz.cli.authserver.options import (
    ScopeText,
    WholeSeconds,
    existing_file,
    json_option,
    read_secret,
    store_options,
)
from extauthz.cli.authserver.stores import with_existing_store, with_store
from extauthz.cli.authserver.tables import show, told_time
from extauthz.config.store_address import StoreAddress

SECRET_BYTES = 32
"""Random bytes of a secret that is made here."""

_secret_option = click.option(
    "--secret-file",
    type=existing_file,
    help="Read the secret from this file, without the newline at its end. Else one is made and printed, once.",
)


@click.group()
def client() -> None:
    """Register clients of the embedded authorization server."""


@client.command("add")
@click.argument("client_id", metavar="ID")
@store_options()
@_secret_option
@click.option("--keys-file", type=existing_file, help="Its public keys, a JWK Set: it uses private_key_jwt, no secret.")
@click.option("--certificate-subject", default="", help="It uses tls_client_auth with this subject (RFC 4514).")
@click.option("--can-introspect", is_flag=True, help="A resource server: it sees the tokens of its audiences.")
@click.option("--audience", "audiences", multiple=True, help="An audience; '*' shows a resource server all of them.")
@click.option(
    "--scope", "scopes", type=ScopeText(), default=(), help="What it may ask for; what a resource server is shown."
)
@click.option("--network", "networks", multiple=True, help="Where it may call from, such as 10.0.0.0/8.")
@click.option(
    "--grant",
    "grants",
    type=click.Choice(["client_credentials", "refresh_token"]),
    multiple=True,
    default=("client_credentials",),
    show_default=True,
    help="A grant type that it may use.",
)
@click.option("--jwt", "jwt_access_tokens", is_flag=True, help="Its access tokens are JWTs (RFC 9068).")
@click.option(
    "--certificate-bound",
    "certificate_bound_tokens",
    is_flag=True,
    help="Its access tokens are bound to the certificate that it shows at the token endpoint (RFC 8705).",
)
@json_option
def client_add(  # noqa: PLR0917 - one for each option
    client_id: str,
    address: StoreAddress,
    password_file: Path | None,
    secret_file: Path | None,
    keys_file: Path | None,
    certificate_subject: str,
    can_introspect: bool,
    audiences: tuple[str, ...],
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    grants: tuple[str, ...],
    jwt_access_tokens: bool,
    certificate_bound_tokens: bool,
    as_json: bool,
) -> None:
    """Register the client ID."""
    wanted = Wanted(
        client_id=client_id,
        secret=None if keys_file or certificate_subject else _given_or_made(secret_file),
        can_introspect=can_introspect,
        audiences=audiences,
        scopes=scopes,
        networks=networks,
        grants=grants,
        jwt_access_tokens=jwt_access_tokens,
        certificate_bound_tokens=certificate_bound_tokens,
        keys="" if keys_file is None else read_secret(keys_file),
        certificate_subject=certificate_subject,
    )
    with_store(address, password_file, lambda store: _add(store, wanted))
    _print_secret(client_id, None if secret_file else wanted.secret, as_json=as_json)


@client.command("list")
@store_options()
@json_option
def client_list(*, address: StoreAddress, password_file: Path | None, as_json: bool) -> None:
    """List all clients. Secrets are kept nowhere and not shown."""

    async def read(store: Store) -> list[ClientRecord]:
        return list(await store.list_clients())

    show(
        [_row(record) for record in with_existing_store(address, password_file, read)],
        as_json=as_json,
        nothing="no clients",
    )


@client.command("rotate")
@click.argument("client_id", metavar="ID")
@store_options()
@_secret_option
@click.option(
    "--grace",
    type=WholeSeconds(least=0),
    default="24h",
    show_default=True,
    help="How long the secret until now stays good; 0s for one that got out.",
)
@json_option
def client_rotate(
    *,
    client_id: str,
    address: StoreAddress,
    password_file: Path | None,
    secret_file: Path | None,
    grace: int,
    as_json: bool,
) -> None:
    """Give the client ID a new secret."""
    secret = _given_or_made(secret_file)
    with_existing_store(
        address,
        password_file,
        lambda store: rotate_secret(store, client_id, secret, now=time.time(), grace_seconds=grace),
    )
    _print_secret(client_id, None if secret_file else secret, as_json=as_json)


@client.command("disable")
@click.argument("client_id", metavar="ID")
@store_options()
def client_disable(*, client_id: str, address: StoreAddress, password_file: Path | None) -> None:
    """Refuse the client ID, and let its tokens be inactive, at once."""
    now = int(time.time())
    with_existing_store(address, password_file, lambda store: set_disabled(store, client_id, disabled_at=now))


@client.command("enable")
@click.argument("client_id", metavar="ID")
@store_options()
def client_enable(*, client_id: str, address: StoreAddress, password_file: Path | None) -> None:
    """Take the client ID in again, and its tokens that have not expired."""
    with_existing_store(address, password_file, lambda store: set_disabled(store, client_id, disabled_at=None))


async def _add(store: Store, wanted: Wanted) -> None:
    if await store.find_client(wanted.client_id) is not None:
        raise DuplicateClientError(wanted.client_id)
    await carry_out(store, await plan_step(wanted, None, now=time.time(), grace_seconds=0))


def _given_or_made(secret_file: Path | None) -> str:
    return secrets.token_urlsafe(SECRET_BYTES) if secret_file is None else read_secret(secret_file)


def _print_secret(client_id: str, secret: str | None, *, as_json: bool) -> None:
    if as_json:
        told = {"client_id": client_id} if secret is None else {"client_id": client_id, "client_secret": secret}
        click.echo(json.dumps(told))
    elif secret is not None:
        click.echo(secret)


def _row(record: ClientRecord) -> dict[str, object]:
    return {
        "id": record.client_id,
        "authentication": record.auth_method.value,
        "introspects": record.can_introspect,
        "audiences": list(record.audiences),
        "scopes": " ".join(record.scopes),
        "networks": list(record.networks),
        "grants": list(record.grants),
        "jwt": record.jwt_access_tokens,
        "certificate bound": record.certificate_bound_tokens,
        "old secret until": _until(record),
        "disabled since": told_time(record.disabled_at),
    }


def _until(record: ClientRecord) -> str | None:
    has_old = record.auth_method is AuthMethod.SECRET and record.old_secret_until > time.time()
    return told_time(record.old_secret_until) if has_old else None
