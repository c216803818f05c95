"""A resource server: resource.py TOKEN... asks its validator about each token and prints the users as JSON."""

import json
import sys

import django
from django.core.management import call_command
from oauthlib.common import Request


def main(tokens: list[str]) -> None:
    """Tell the user of each token that has scope `a`, `null` for one that is refused."""
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: PLC0415 - needs a set-up Django

    users = []
    for token in tokens:
        request = Request("https://api.example.com/")
        valid = OAuth2Validator().validate_bearer_token(token, ["a"], request)
        users.append(request.user.username if valid else None)
    print(json.dumps(users))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main(sys.argv[1:])
