"""The edge cache of decisions: whose answer is kept for whom, and how long."""

from collections.abc import Iterator

from extauthz.doctor.findings import Check, Problem
from extauthz.doctor.nginx_site import Asking, Context, made_of, variables, warning
from extauthz.doctor.nginx_syntax import Directive

KEY = '"v1 $request_method $scheme $host $authz_path $http_authorization"'

_SCRIPTS = ("js_set", "perl_set")
_HOSTS = {"host", "http_host", "server_name"}


def keeps(asking: Asking) -> bool:
    """Whether decisions are kept there."""
    return asking.context.value("proxy_cache", "off") != "off"


def _key(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    key = " ".join(context.words("proxy_cache_key"))
    origin = made_of(context, key)
    parts = {
        "the method": "request_method" in origin,
        "the path": "request_uri" in origin,
        "the host": bool(origin & _HOSTS) or not asking.expected.uses_hosts,
        "the token": any(_is_token(context, name) for name in variables(key)),
    }
    scripted = [each for each in _definitions(context, variables(key)) if each.name in _SCRIPTS]
    if scripted and not parts["the token"]:
        parts["the token"] = True
        what = f"{scripted[0].name} {' '.join(scripted[0].args)}: whether that is the token cannot be seen from here"
        yield warning(scripted[0].where, what, "try two tokens, one of them without the scope")
    lacking = [part for part, there in parts.items() if not there]
    if lacking:
        what = f"the key of the edge cache lacks {', '.join(lacking)}"
        yield Problem(where=context.place("proxy_cache_key"), what=what, fix=f"proxy_cache_key {KEY};")


def _definitions(context: Context, names: set[str]) -> list[Directive]:
    """Directives of any module that give one of these variables its value."""
    shown = {f"${name}" for name in names}
    return [each for outer in context.chain for each in outer.block or () if set(each.args[:2]) & shown]


def _is_token(context: Context, name: str) -> bool:
    """Whether the variable is the token, or a digest of it: `set_hmac_sha256 $h "…" $http_authorization;`."""
    if name == "http_authorization":
        return True
    made = [
        each for each in _definitions(context, {name}) if each.name.startswith("set") and each.args[0] == f"${name}"
    ]
    if any(_is_token(context, source) for each in made for word in each.args[1:] for source in variables(word)):
        return True
    maps = [each for each in _definitions(context, {name}) if each.name == "map" and each.args[1] == f"${name}"]
    return any(
        _is_token(context, source)
        for each in maps
        for source in variables(each.args[0])
        if any("$" in word for entry in each.block or () for word in entry.args)
    )


def _stale(asking: Asking) -> Iterator[Problem]:
    words = asking.context.words("proxy_cache_use_stale")
    if words and words != ("off",):
        what = f"proxy_cache_use_stale {' '.join(words)} keeps old answers in use"
        where = asking.context.place("proxy_cache_use_stale")
        yield Problem(where=where, what=what, fix="proxy_cache_use_stale off;")


def _valid(asking: Asking) -> Iterator[Problem]:
    for each in asking.context.holding("proxy_cache_valid"):
        what = f"proxy_cache_valid {' '.join(each.args)} keeps what extauthz did not say may be kept"
        yield Problem(where=each.where, what=what, fix="take it out: extauthz says how long, with edge_cache")


CACHE_CHECKS: tuple[Check[Asking], ...] = (
    Check(
        name="cache-key",
        good="no decision is kept for another request than its own",
        why="What is not in the key is not told apart: one client's yes is served to all.",
        look=_key,
    ),
    Check(
        name="cache-stale",
        good="no decision outlives its time",
        why="A denial that is not kept never replaces the old yes: a revoked token goes on working without end.",
        look=_stale,
    ),
    Check(
        name="cache-valid",
        good="only extauthz says how long a decision is kept",
        why="It keeps errors and denials too, and overrides the policy where extauthz says nothing.",
        look=_valid,
    ),
)
