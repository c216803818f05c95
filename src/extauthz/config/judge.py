"""A policy file, read: all that is wrong with it, or the snapshot that it means. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from extauthz.config.compile import Policy, compile_policy
from extauthz.config.document import Document
from extauthz.config.faults import Fault
from extauthz.config.groups import check_groups
from extauthz.config.modes import check_modes
from extauthz.config.policy_schema import PolicyFile
from extauthz.config.scope_sets import check_scope_sets
from extauthz.config.service_schema import AuthorizationServer
from extauthz.config.validate import check_names, check_servers, check_ties, sound_policy, validate
from extauthz.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a policy file.

    Attributes:
        file: its content; None when it has a fault of its own.
        policy: what of it is sound.
        snapshot: the compiled policy; None when there is any fault.
        faults: everything that is wrong.
    """

    file: PolicyFile | None
    policy: Policy
    snapshot: Snapshot | None
    faults: list[Fault]


def judge_policy(document: Document, servers: Mapping[str, AuthorizationServer], names: Collection[str]) -> Judged:
    """Judge the file by itself and by the authorization servers of the other one.

    Args:
        document: the policy file.
        servers: the sections about servers that are sound.
        names: all servers that are described, also those with faults; none at all leaves names unchecked.
    """
    file, faults = validate(PolicyFile, document)
    policy = sound_policy(file, document)
    snapshot, ties = compile_policy(policy, servers)
    found = [
        *faults,
        *check_names(document),
        *check_servers(policy, document, names),
        *check_groups(policy, document, servers),
        *check_modes(policy, document, servers),
        *check_scope_sets(document, policy.scope_sets),
        *check_ties(ties, policy, document),
    ]
    return Judged(file=file, policy=policy, snapshot=None if file is None or found else snapshot, faults=found)
