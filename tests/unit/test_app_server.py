"""What asks one server is put together as the file says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extauthz.app_server import ServerParts, server_settings
from extauthz.config.load import ServiceConfig, load_service
from extauthz.core.leniency import Leniency
from extauthz.keyfiles import read_validity
from extauthz.observe.certificates import Certificates
from extauthz.resolver.client_auth import Credentials
from extauthz.resolver.metadata import Metadata
from extauthz.testing import RecordingObserver
from support.certificates import Authority
from support.tokens import jwk, jwks

POLICY = "version: 1\nroutes: [{name: a, path: /a, scopes: [], audience: a}]\n"
KEYS = {"jwks_uri": "https://as.example.com/jwks"}
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a client may need."""
    path = tmp_path_factory.mktemp("server")
    Authority(path, "ca").issue("rs")
    key = ec.generate_private_key(ec.SECP256R1())
    (path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (path / "secret").write_text(SECRET)
    (path / "policy.yaml").write_text(POLICY)
    return path


def loaded(folder: Path, **server: Any) -> ServiceConfig:  # noqa: ANN401 - whatever the file can say
    """The configuration with this server."""
    service = {
        "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
        "policy": "policy.yaml",
        "authorization_servers": {
            "main": {
                name: value
                for name, value in {
                    "issuer": "https://as.example.com",
                    "introspection_endpoint": "https://as.example.com/i",
                    **server,
                }.items()
                if value is not None
            }
        },
    }
    path = folder / "extauthz.yaml"
    path.write_text(yaml.safe_dump(service, sort_keys=False))
    return load_service(path, {"CLIENT_SECRET": SECRET})


def parts_of(config: ServiceConfig, certificates: Certificates | None = None) -> ServerParts:
    server, secret = config.settings.authorization_servers["main"], config.secrets.get("main")
    return ServerParts(
        "main", server, RecordingObserver(), secret=secret, folder=config.folder, certificates=certificates
    )


@pytest.mark.parametrize("source", [{"env": "CLIENT_SECRET"}, {"file": "secret"}], ids=["env", "file"])
@pytest.mark.parametrize(
    ("client", "header", "form"),
    [
        ({}, "Basic ", ""),
        ({"auth": "client_secret_post"}, "", f"&client_id=rs&client_secret={SECRET}"),
        ({"auth": "client_secret_jwt"}, "", "&client_id=rs&client_assertion_type="),
        ({"auth": "private_key_jwt", "key": {"file": "key.pem"}}, "", "&client_id=rs&client_assertion_type="),
        ({"auth": "tls_client_auth"}, "", "&client_id=rs"),
        ({"auth": "unsafe_none"}, "", ""),
    ],
)
async def test_each_method_sends_its_own(
    client: dict[str, Any], header: str, form: str, source: dict[str, str], folder: Path
) -> None:
    """From the environment or from a file."""
    needs_none = client.get("auth", "") in ("private_key_jwt", "tls_client_auth", "unsafe_none")
    written = {"id": "rs", **client} | ({} if needs_none else {"secret": source})
    config = loaded(folder, client=written, tls={"certificate": "rs.pem", "key": "rs.key"})
    parts = parts_of(config)
    sent = await parts.authenticator().credentials(Metadata())
    assert isinstance(sent, Credentials)
    assert (sent.authorization.startswith(header), bool(sent.authorization)) == (True, bool(header))
    assert (sent.form.startswith(form), bool(sent.form)) == (True, bool(form))
    await parts.transport.close()


def test_settings_are_those_of_the_file(folder: Path) -> None:
    """With the hint left out when it shall be."""
    client = {"id": "rs", "secret": {"env": "CLIENT_SECRET"}}
    compat = {"scope_array": True, "require_token_type": True}
    more: dict[str, Any] = {"timeout": "1s", "cache": {"ttl": "5s"}, "compat": compat}
    config = loaded(folder, client=client, token_type_hint="none", **more)
    settings = server_settings("main", config.settings.authorization_servers["main"])
    assert (settings.name, settings.issuer, settings.client_id) == ("main", "https://as.example.com", "rs")
    assert (settings.token_type_hint, settings.timeout, settings.ttl) == ("", 1.0, 5.0)
    assert (settings.leniency, settings.token_type_required) == (Leniency(scope_array=True), True)


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 0), ({"discovery": True}, 1), ({"discovery": True, "mode": "jwt"}, 2), ({"mode": "jwt", "jwt": KEYS}, 1)],
)
def test_what_is_found_out_runs_in_the_background(changes: dict[str, Any], count: int, folder: Path) -> None:
    """Metadata where it is asked for, keys where they will be needed."""
    config = loaded(folder, client={"id": "rs", "secret": {"env": "CLIENT_SECRET"}}, **changes)
    assert len(list(parts_of(config).background())) == count


async def test_keys_are_fetched_once_it_is_known_where(folder: Path) -> None:
    """Here they are in a file."""
    (folder / "jwks.json").write_bytes(jwks(jwk(ec.generate_private_key(ec.SECP256R1()))))
    config = loaded(folder, client=None, mode="jwt", jwt={"jwks_file": "jwks.json"})
    parts = parts_of(config)
    (fetch,) = parts.background()
    await fetch()
    assert parts.verifier is parts.verifier
    await parts.transport.close()


class CancelledAfter:
    """A sleep that is cancelled in the end, and what is done each time before."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self._actions = list(actions)

    async def __call__(self, seconds: float) -> None:
        """Do the next one."""
        if not self._actions:
            raise asyncio.CancelledError
        self._actions.pop(0)()


async def test_the_end_of_our_certificate_follows_its_file(tmp_path: Path) -> None:
    """From the start, and again once a new one is in use, also while nothing is asked; one that fits no key is not used."""
    ends: list[tuple[str, str, float]] = []
    certificates = Certificates(lambda *what: ends.append(what), RecordingObserver(), wall=lambda: 0.0)
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("rs")
    (tmp_path / "policy.yaml").write_text(POLICY)
    files = {"certificate": "rs.pem", "key": "rs.key"}
    parts = parts_of(loaded(tmp_path, client={"id": "rs", "auth": "tls_client_auth"}, tls=files), certificates)
    first = read_validity(pair.certificate).ends
    assert list(parts.background()) == [parts.follow_certificate]
    misfit = authority.issue("other", expired=True).certificate.read_bytes()
    changes = CancelledAfter(
        lambda: pair.certificate.write_bytes(misfit), lambda: None, lambda: authority.issue("rs", expired=True)
    )
    with pytest.raises(asyncio.CancelledError):
        await parts.follow_certificate(changes)
    second = read_validity(pair.certificate).ends
    assert ends == [("authorization_server", "main", first), ("authorization_server", "main", second)]
    assert second < first
    await parts.transport.close()
