"""Routes as an operator writes them to rules as the core decides them. Pure; what it is given has been validated."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from extauthz.config.conditions import ClaimEntry
from extauthz.config.policy_schema import Defaults, HeaderClaim, RouteEntry
from extauthz.config.scope_sets import ScopeSets, alternatives_of
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.claims import ClaimRule
from extauthz.core.demands import Demands, DetailsRule
from extauthz.core.identity import IdentityHeader, IdentityHeaders, ListStyle, NonAscii
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable
from extauthz.core.scopes import Implications
from extauthz.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is compiled: the routes of a policy file, or those of them that are sound while others have faults.

    Attributes:
        entries: the routes, each with its index in the file.
        defaults: what they have in common.
        realm: the protection space.
        implications: what each scope implies.
        scope_sets: the scopes of each named set.
    """

    entries: tuple[tuple[int, RouteEntry], ...]
    defaults: Defaults
    realm: str
    implications: Implications = field(default_factory=dict)
    scope_sets: ScopeSets = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Two routes, by their index in the file, that would both decide the same request; no methods means all."""

    first: int
    second: int
    methods: tuple[str, ...]


def compile_policy(policy: Policy, servers: Mapping[str, AuthorizationServer]) -> tuple[Snapshot, tuple[Tie, ...]]:
    """The snapshot, and every tie between its routes. A snapshot with ties must not be used."""
    headers = tuple(_identity_header(name, source) for name, source in policy.defaults.identity_headers.items())
    identities = {forwards: IdentityHeaders(headers=headers, forward_token=forwards) for forwards in (True, False)}
    rules = [_compile_rule(entry, policy, identities, servers) for _, entry in policy.entries]
    table, conflicts = RouteTable.build(rules)
    index_of = {id(rule): index for rule, (index, _) in zip(rules, policy.entries, strict=True)}
    ties = tuple(
        Tie(first=index_of[id(tie.first)], second=index_of[id(tie.second)], methods=tie.methods) for tie in conflicts
    )
    return Snapshot(routes=table), ties


def servers_for(entry: RouteEntry, defaults: Defaults, names: Collection[str]) -> tuple[str, ...]:
    """The servers that know a route's tokens: its own, the default ones, or the only one; none when there is no choice."""
    if entry.allow is not None:
        return ()
    chosen = entry.authorization_server or defaults.authorization_server
    if chosen is None:
        return tuple(names) if len(names) == 1 else ()
    return (chosen,) if isinstance(chosen, str) else chosen


def source_name(name: str, mode: str | None, servers: Mapping[str, AuthorizationServer]) -> str:
    """What a server is called by routes for which another mode than its own decides: `main:jwt`."""
    own = servers[name].mode if name in servers else None
    return name if mode in (None, own) else f"{name}:{mode}"


def _compile_rule(
    entry: RouteEntry,
    policy: Policy,
    identities: Mapping[bool, IdentityHeaders],
    servers: Mapping[str, AuthorizationServer],
) -> Rule:
    names = servers_for(entry, policy.defaults, servers)
    alternatives = alternatives_of(entry.scopes, policy.scope_sets)
    anonymous = entry.allow is not None
    forward_token = policy.defaults.forward_token if entry.forward_token is None else entry.forward_token
    return Rule(
        name=entry.name,
        path=entry.path,
        methods=entry.methods or (),
        where=tuple((entry.where or {}).items()),
        host=entry.host or "",
        anonymous=anonymous,
        shadow=entry.shadow,
        preflight=entry.allow_preflight,
        alternatives=tuple(frozenset(words) for words in alternatives),
        implications=policy.implications,
        demands=_demands(entry),
        audience="" if anonymous else entry.audience or policy.defaults.audience or "",
        issuers=frozenset(entry.issuers or ()),
        authorization_server=" ".join(source_name(name, entry.mode, servers) for name in names),
        max_age=entry.freshness,
        patience=entry.timeout,
        max_stale=entry.stale_if_error,
        leeway=min((servers[name].leeway for name in names if name in servers), default=0.0),
        edge_cache=entry.edge_cache,
        identity=identities[forward_token],
        realm=policy.realm,
        challenge_scope=alternatives[0] if alternatives else (),
    )


def _demands(entry: RouteEntry) -> Demands | None:
    demands = Demands(
        clients=frozenset(entry.clients or ()),
        details=tuple(
            DetailsRule(
                type=each.type, actions=frozenset(each.actions or ()), locations=frozenset(each.locations or ())
            )
            for each in entry.authorization_details or ()
        ),
        actors=frozenset(entry.actors or ()),
        subject=entry.require_sub,
        claims=tuple(_claim_rule(each) for each in entry.claims or ()),
    )
    return None if demands == Demands() else demands


def _claim_rule(entry: ClaimEntry) -> ClaimRule:
    single = entry.equals if entry.contains is None else entry.contains
    values = entry.in_ or (() if single is None else (single,))
    return ClaimRule(claim=entry.claim, values=values, contains=entry.contains is not None, pattern=entry.matches)


def _identity_header(name: str, source: str | HeaderClaim) -> IdentityHeader:
    if isinstance(source, str):
        return IdentityHeader(name=name, claim=source)
    lists, non_ascii = ListStyle(source.list), NonAscii(source.non_ascii)
    return IdentityHeader(name=name, claim=source.claim, lists=lists, non_ascii=non_ascii)
