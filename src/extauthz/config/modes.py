"""Whether the servers of a route can do what its mode asks for."""

from collections.abc import Mapping

from extauthz.config.compile import Policy, servers_for
from extauthz.config.document import Document, Path
from extauthz.config.faults import Fault
from extauthz.config.jwt import lacks_for_jwts
from extauthz.config.policy_schema import RouteEntry
from extauthz.config.service_schema import AuthorizationServer


def check_modes(policy: Policy, document: Document, servers: Mapping[str, AuthorizationServer]) -> list[Fault]:
    """A fault for each route whose mode a server is not equipped for, or by which a JWT could be meant for anybody."""
    faults = []
    for index, entry in policy.entries:
        route: Path = ("routes", index)
        for name in servers_for(entry, policy.defaults, servers):
            if name in servers and (lacking := _lacking(name, servers[name], entry)):
                faults.append(document.fault((*route, "mode"), lacking))
            elif name in servers and not (entry.audience or policy.defaults.audience or _is_safe(servers[name], entry)):
                message = f"write audience: and who we are to {name}: a JWT passes only where it is meant for"
                faults.append(document.fault(route, message))
    return faults


def _lacking(name: str, server: AuthorizationServer, entry: RouteEntry) -> str:
    if entry.mode in (None, server.mode):
        return ""
    if entry.mode != "introspect" and (lacking := lacks_for_jwts(dict(server))):
        return f"to judge JWTs of {name} {lacking}"
    if entry.mode != "jwt" and server.client is None:
        return f"{name} cannot be asked: write client: and introspection_endpoint: in its section"
    return ""


def _is_safe(server: AuthorizationServer, entry: RouteEntry) -> bool:
    """Whether no route needs to say for whom tokens are."""
    return (entry.mode or server.mode) == "introspect" or bool(server.jwt.audience)
