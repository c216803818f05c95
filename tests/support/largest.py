"""The rule with the longest answers that a policy file can ask for."""

from extauthz.config.compile import Policy, compile_policy
from extauthz.config.fields import MAX_IDENTITY_HEADERS, MAX_REALM_LENGTH, MAX_SCOPES_LENGTH
from extauthz.config.policy_schema import PolicyFile
from extauthz.core.identity import MAX_IDENTITY_BYTES
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule

NAMES = [f"x-{letter * 29}" for letter in "abcdefghijklmnopqrstuvwxyz"[:MAX_IDENTITY_HEADERS]]


def largest_rule() -> Rule:
    """Every limit of the file is used up; each quote in the realm is escaped."""
    written = {
        "version": 1,
        "realm": '"' * MAX_REALM_LENGTH,
        "defaults": {"identity_headers": {name: "sub" if name == NAMES[0] else f"none-{name}" for name in NAMES}},
        "routes": [{"name": "r", "path": "/r", "scopes": ["s" * MAX_SCOPES_LENGTH]}],
    }
    file = PolicyFile.model_validate(written)
    policy = Policy(entries=tuple(enumerate(file.routes)), defaults=file.defaults, realm=file.realm)
    return compile_policy(policy, {})[0].routes.rules[0]


def largest_token(rule: Rule, *, beyond: int = 0) -> Active:
    """A token whose subject takes all the room that there is, or so many bytes more."""
    room = MAX_IDENTITY_BYTES - sum(map(len, rule.identity.names))
    scope = "s" * MAX_SCOPES_LENGTH
    return Active(scopes=frozenset({scope}), scope=scope, sub="u" * (room + beyond))
