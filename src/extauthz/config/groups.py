"""Servers among which a token chooses: each must have something that tells its tokens from those of the others."""

from collections.abc import Mapping, Sequence

from extauthz.config.compile import Policy, servers_for
from extauthz.config.document import Document, Path
from extauthz.config.faults import Fault
from extauthz.config.service_schema import AuthorizationServer


def check_groups(policy: Policy, document: Document, servers: Mapping[str, AuthorizationServer]) -> list[Fault]:
    """A fault for each route whose servers cannot be told apart by a token, at the key that names them."""
    faults = []
    seen: set[Path] = set()
    for index, entry in policy.entries:
        names = [name for name in servers_for(entry, policy.defaults, servers) if name in servers]
        path: Path = (*(("routes", index) if entry.authorization_server else ("defaults",)), "authorization_server")
        if len(names) > 1 and path not in seen and (message := _alike(names, servers)):
            faults.append(document.fault(path, message))
            seen.add(path)
    return faults


def _alike(names: Sequence[str], servers: Mapping[str, AuthorizationServer]) -> str:
    """What is wrong with this group; empty when nothing is."""
    known: dict[str, str] = {}
    for name in names:
        mark = _mark(servers[name])
        if not mark:
            return f"nothing tells the tokens of {name} from others: give it issuer, tokens.prefix or tokens.opaque"
        if mark in known:
            return f"nothing tells the tokens of {name} from those of {known[mark]}: both have {mark}"
        known[mark] = name
    return ""


def _mark(server: AuthorizationServer) -> str:
    """What tells its tokens from others, in words for an operator."""
    if server.tokens.prefix:
        return f"tokens.prefix {server.tokens.prefix}"
    if server.tokens.opaque:
        return "tokens.opaque without a prefix"
    return f"issuer {server.issuer}" if server.issuer else ""
