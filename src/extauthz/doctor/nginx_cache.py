"""The edge cache of decisions: whose answer is kept for whom, how long, and where."""

from collections.abc import Iterator

from extauthz.doctor.findings import Check, Problem
from extauthz.doctor.nginx_site import Asking, Context, made_of, variables, warning
from extauthz.doctor.nginx_syntax import Directive

KEY = '"v1 $proxy_host $request_method $scheme $host $authz_path $authz_digest"'
DIGEST = "set_hmac_sha256 $authz_hmac $authz_secret $http_authorization;   set_encode_hex $authz_digest $authz_hmac;"

_TOKEN = "http_authorization"  # noqa: S105 - the name of a variable
_SCRIPTS = ("js_set", "perl_set")
_HOSTS = {"host", "http_host", "server_name"}
_DECISIVE = ("Cache-Control", "Vary", "Set-Cookie")
"""Headers by which NGINX learns that an answer must not be kept, or not for others."""

_EVERYBODYS = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - where a folder must not be


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


def _is_token(context: Context, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether the variable is the token, or a digest of it: `set_hmac_sha256 $h "…" $http_authorization;`."""
    if name == _TOKEN or name in seen:
        return name == _TOKEN
    found = _definitions(context, {name})
    texts = [word for each in found if _sets(each, name) for word in each.args[1:]]
    texts += [each.args[0] for each in found if each.name == "map" and each.args[1] == f"${name}" and _carries(each)]
    return any(_is_token(context, source, seen | {name}) for text in texts for source in variables(text))


def _sets(directive: Directive, name: str) -> bool:
    return directive.name.startswith("set") and directive.args[0] == f"${name}"


def _carries(table: Directive) -> bool:
    """Whether a `map` hands on a part of what it looks at, and not only words of its own."""
    return any("$" in word for entry in table.block or () for word in entry.args)


def _clear_token(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    named = variables(" ".join(context.words("proxy_cache_key")))
    clear = [name for name in named if _is_token(context, name) and _TOKEN in made_of(context, f"${name}")]
    if clear:
        what = f"the key of the edge cache has the token in clear: ${clear[0]}"
        fix = f"{DIGEST}   and $authz_digest in its place"
        yield warning(context.place("proxy_cache_key"), what, fix)


def _anonymous(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    for name in ("proxy_cache_bypass", "proxy_no_cache"):
        if _TOKEN not in made_of(context, " ".join(context.words(name))):
            what = f"{name} does not leave requests without a token alone"
            fix = f'{name} $authz_anonymous;   with   map $http_authorization $authz_anonymous {{ default 0; "" 1; }}'
            yield warning(context.place(name), what, fix)


def _stale(asking: Asking) -> Iterator[Problem]:
    words = asking.context.words("proxy_cache_use_stale")
    if words and words != ("off",):
        what = f"proxy_cache_use_stale {' '.join(words)} keeps old answers in use"
        where = asking.context.place("proxy_cache_use_stale")
        yield Problem(where=where, what=what, fix="proxy_cache_use_stale off;")


def _valid(asking: Asking) -> Iterator[Problem]:
    for each in asking.context.holding("proxy_cache_valid"):
        if "".join(each.args[-1:]).rstrip("smhd") != "0":
            what = f"proxy_cache_valid {' '.join(each.args)} keeps what extauthz did not say may be kept"
            fix = f"proxy_cache_valid any 0;   in {asking.context.title}: extauthz says how long, with edge_cache"
            yield Problem(where=each.where, what=what, fix=fix)


def _ignored(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    ignored = {word.lower() for word in context.words("proxy_ignore_headers")}
    lost = [name for name in _DECISIVE if name.lower() in ignored]
    if lost:
        what = f"proxy_ignore_headers makes NGINX deaf to {', '.join(lost)}"
        fix = f"proxy_ignore_headers X-Accel-Expires Expires;   in {context.title}"
        yield Problem(where=context.place("proxy_ignore_headers"), what=what, fix=fix)


def _folder(asking: Asking) -> Iterator[Problem]:
    zone = f"keys_zone={asking.context.value('proxy_cache')}:"
    for each in asking.context.outside("proxy_cache_path"):
        if any(word.startswith(zone) for word in each.args) and each.args[0].startswith(_EVERYBODYS):
            what = f"decisions are kept in {each.args[0]}, which anybody on this machine could have made first"
            yield warning(each.where, what, "proxy_cache_path /run/extauthz-edge …;")


CACHE_CHECKS: tuple[Check[Asking], ...] = (
    Check(
        name="cache-key",
        good="no decision is kept for another request than its own",
        why="What is not in the key is not told apart: one client's yes is served to all.",
        look=_key,
    ),
    Check(
        name="cache-token",
        good="no token is written to the cache's folder",
        why="Each file of the cache names its key: whoever reads the folder, or a copy of it, has the tokens.",
        look=_clear_token,
    ),
    Check(
        name="cache-anonymous",
        good="nothing is kept for those who have no token",
        why="All of them have the same key: what is kept for one of them is served to the rest.",
        look=_anonymous,
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
    Check(
        name="cache-headers",
        good="NGINX hears what extauthz says about keeping",
        why="`no-store` on denials and errors, and the token in Vary, are what keeps answers apart and short-lived.",
        look=_ignored,
    ),
    Check(
        name="cache-folder",
        good="nobody else can write to the cache's folder",
        why="Who made the folder may change what is in it, and a kept yes is believed.",
        look=_folder,
    ),
)
