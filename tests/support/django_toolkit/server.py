"""The server's own process: server.py PORT. Its tables and clients are made at the start."""

import sys

import django
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application

from support.django_toolkit import PASSWORD, USER_APP
from support.real_server import APP, GATEWAY, USER


def make_clients() -> None:
    """Those of `support.real_server`, and the user."""
    make = apps.get_model("oauth2_provider", "Application").objects.create
    for client, grant in ((APP, "client-credentials"), (GATEWAY, "client-credentials"), (USER_APP, "password")):
        make(
            client_id=client.id,
            client_secret=client.secret,
            client_type="confidential",
            authorization_grant_type=grant,
        )
    get_user_model().objects.create_user(USER, password=PASSWORD)


def serve(port: int) -> None:
    """Until the process is told to end."""
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    make_clients()
    run("127.0.0.1", port, get_wsgi_application(), threading=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
