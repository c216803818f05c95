"""The table of routes says in few words what each one needs."""

from extauthz.policy_tools.listing import COLUMNS, listing
from extauthz.policy_tools.source import SoundSource, read_policy

POLICY = b"""\
version: 1
routes:
  - {name: open, path: /open, allow: anonymous}
  - {name: any, path: /any, scopes: []}
  - name: much
    path: /much
    host: api.example.com
    methods: [GET, HEAD]
    scopes: {any_of: [[admin], [b, a]]}
    audience: https://api.example.com
    actors: [service]
    clients: [web, app]
    claims: [{claim: plan, in: [gold, silver]}]
    issuers: [i]
    require_sub: true
    authorization_details: [{type: payment}]
"""


def test_each_route_is_a_row_with_its_line() -> None:
    """In the order of the file."""
    source = read_policy(POLICY, "policy.yaml")
    assert isinstance(source, SoundSource)
    rows = [tuple(row[column] for column in COLUMNS) for row in listing(source)]
    assert rows == [
        (3, "open", "any", "any", "/open", "nothing", "-"),
        (4, "any", "any", "any", "/any", "any valid token", "any"),
        (
            5,
            "much",
            "GET,HEAD",
            "api.example.com",
            "/much",
            "admin or a+b; issuer i; client app or web; authorization detail payment; actor service; a subject; plan is gold or silver",
            "https://api.example.com",
        ),
    ]
