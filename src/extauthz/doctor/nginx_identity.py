"""The identity headers on their way to an application: in every location, never as the client sent them."""

from collections.abc import Iterator

from extauthz.doctor.findings import Check, Problem
from extauthz.doctor.nginx_site import PASSES, Context, Site, made_of, warning

_CLIENTS_OWN = ("http_", "arg_", "cookie_", "args", "query_string")


def clients_own(names: set[str]) -> list[str]:
    """Those of the variables that a client fills."""
    return sorted(name for name in names if name.startswith(_CLIENTS_OWN))


def _identity(site: Site) -> Iterator[Problem]:
    for context in (*site.applications, *site.inner_applications):
        for setter in {PASSES[each.name] for each in context.own(*PASSES)}:
            for header in site.expected.identity_headers:
                yield from _header(context, setter, header)


def _header(context: Context, setter: str, header: str) -> Iterator[Problem]:
    """One header in one location."""
    name = _name(setter, header)
    variable = header.replace("-", "_")
    directive = context.headers(setter).get(name.lower())
    fix = f"{setter} {name} $authz_{variable.removeprefix('x_auth_')};"
    if directive is None:
        rival = context.holding(setter)
        lost = f": these {setter} replace all outer ones, and it is not among them" if rival else ""
        what = f"the client's own {header} is passed on{lost}"
        yield Problem(where=rival[0].where if rival else context.block.where, what=what, fix=fix)
        return
    value = " ".join(directive.args[1:])
    origin = made_of(context, value)
    if clients_own(origin):
        what = f"{name} is made of ${clients_own(origin)[0]}, which the client sends"
        yield Problem(where=directive.where, what=what, fix=fix)
    elif value and not origin:
        yield Problem(where=directive.where, what=f"{name} is the same for everybody: {value}", fix=fix)
    elif context.question and f"upstream_http_{variable}" not in origin:
        what = f"{context.title} never gets {header} from the answer of extauthz"
        set_it = f"auth_request_set $authz_{variable.removeprefix('x_auth_')} $upstream_http_{variable};"
        yield warning(directive.where, what, f"{set_it}   {fix}")


def _name(setter: str, header: str) -> str:
    """The header as the directive calls it."""
    if setter.endswith("_param"):
        return "HTTP_" + header.upper().replace("-", "_")
    return "-".join(word.capitalize() for word in header.split("-"))


IDENTITY: Check[Site] = Check(
    name="identity-headers",
    good="every application gets its identity headers from extauthz, never from the client",
    why="The application believes these headers: who can send them is whoever they like.",
    look=_identity,
)
