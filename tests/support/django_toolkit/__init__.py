"""django-oauth-toolkit as a real authorization server: no `sub`, `token_type` or `iss`, and 403 where others say 401."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from extauthz.cli.processes import Process, free_ports
from support.real_server import APP, SCOPE, USER, Credentials, RealServer, post

TESTS = Path(__file__).parents[2]
PASSWORD = "password-of-jdoe"
USER_APP = Credentials(id="user-app", secret=APP.secret)
"""The app too, for users: a client of this server may use one grant only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoToolkit(RealServer):
    """A running django-oauth-toolkit."""

    def issue_to(self, user: str = USER, scope: str = SCOPE) -> str:
        """By the user's password (RFC 6749 §4.3)."""
        return self._with_password(user, scope)["access_token"]

    def issue_refresh(self) -> str:
        """The one that comes with the access token."""
        return self._with_password(USER, SCOPE)["refresh_token"]

    def _with_password(self, user: str, scope: str) -> dict[str, str]:
        form = {"grant_type": "password", "username": user, "password": PASSWORD, "scope": scope}
        answer: dict[str, str] = json.loads(post(self.token_endpoint, form, USER_APP))
        return answer


@contextmanager
def running(folder: Path) -> Iterator[DjangoToolkit]:
    """Start it in the folder, wait until it listens, stop it."""
    (port,) = free_ports(1)
    environment = {
        "PYTHONPATH": str(TESTS),
        "DJANGO_SETTINGS_MODULE": "support.django_toolkit.settings",
        "EXTAUTHZ_TEST_DATABASE": str(folder / "server.sqlite3"),
    }
    command = [sys.executable, "-m", "support.django_toolkit.server", str(port)]
    url = f"http://127.0.0.1:{port}/o"
    with Process("django-oauth-toolkit", command, log=folder / "django-oauth-toolkit.log", env=environment) as process:
        process.wait_for_port(port)
        yield DjangoToolkit(
            process=process,
            issuer=None,
            token_endpoint=f"{url}/token/",
            introspection_endpoint=f"{url}/introspect/",
            revocation_endpoint=f"{url}/revoke_token/",
        )
