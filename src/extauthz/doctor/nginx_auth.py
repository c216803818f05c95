"""The location that asks extauthz: what it sends, what it leaves out, how long it waits."""

import re
from collections.abc import Iterator

from extauthz.doctor.findings import Check, Problem
from extauthz.doctor.nginx_identity import clients_own
from extauthz.doctor.nginx_site import ENDPOINT, Asking, made_of, warning

TIMEOUTS = ("proxy_connect_timeout", "proxy_send_timeout", "proxy_read_timeout")

_PASS = re.compile(r"\w+://(?P<server>unix:[^:]+:|[^/]+)(?P<path>/[^?]*)?.*")
_DECODED = {"uri", "document_uri", "request_filename"}
_TIME = re.compile(r"(\d+)(ms|s|m|h|d|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _endpoint(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    target = context.value("proxy_pass") if context.own("proxy_pass") else ""
    match = _PASS.fullmatch(target)
    if match is None or match["path"] == ENDPOINT or (match["path"] is None and "$" in target):
        return
    what = f"{context.title} asks {target}, and extauthz answers NGINX at {ENDPOINT}"
    yield Problem(where=context.place("proxy_pass"), what=what, fix=f"proxy_pass http://extauthz{ENDPOINT};")


def _backup(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    match = _PASS.fullmatch(context.value("proxy_pass"))
    groups = [each for each in context.outside("upstream") if match is not None and each.args == (match["server"],)]
    for server in (each for group in groups for each in group.block or () if "backup" in each.args):
        what = f"server {' '.join(server.args)} answers in place of extauthz when that is down"
        yield warning(server.where, what, "take it out, unless it is another extauthz")


def _body(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    if context.value("proxy_pass_request_body", "on") != "off":
        what = f"{context.title} announces the client's body"
        yield Problem(where=context.place("proxy_pass_request_body"), what=what, fix="proxy_pass_request_body off;")
    length = context.headers().get("content-length")
    if length is None or length.args[1:] != ("",):
        what = f"{context.title} passes on the client's Content-Length"
        where = length.where if length else context.block.where
        yield Problem(where=where, what=what, fix='proxy_set_header Content-Length "";')


def _metadata(asking: Asking) -> Iterator[Problem]:
    """What extauthz reads must be named; what clients send by these names must not get through."""
    context = asking.context
    headers = context.headers()
    only_named = context.value("proxy_pass_request_headers", "on") == "off"
    wanted = {"Authorization": "$http_authorization", "X-Original-Host": "$host"}
    for name, value in wanted.items():
        found = headers.get(name.lower())
        if found is not None and found.args[1] == value:
            continue
        if found is None and not only_named and name == "Authorization":
            continue  # the client's own, as it should be
        what = f"{name} is {found.args[1] or 'empty'}" if found else f"{context.title} does not send {name}"
        where = found.where if found else context.block.where
        yield Problem(where=where, what=what, fix=f"proxy_set_header {name} {value};")
    if not only_named:
        what = f"{context.title} passes on all headers of the client"
        where = context.place("proxy_pass_request_headers")
        yield warning(where, what, "proxy_pass_request_headers off;   and name what extauthz needs")


def _method(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    found = context.headers().get("x-original-method")
    if found is None or found.args[1] != "$request_method":
        what = f"X-Original-Method is {found.args[1] or 'empty'}" if found else "X-Original-Method is not sent"
        where = found.where if found else context.block.where
        yield Problem(where=where, what=what, fix="proxy_set_header X-Original-Method $request_method;")


def _uri(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    found = context.headers().get("x-original-uri")
    fix = "proxy_set_header X-Original-URI $request_uri;"
    if found is None:
        yield Problem(where=context.block.where, what="X-Original-URI is not sent", fix=fix)
        return
    origin = made_of(context, found.args[1])
    decoded = sorted(origin & _DECODED) or clients_own(origin)
    if decoded or "request_uri" not in origin:
        named = f"${decoded[0]}" if decoded else found.args[1] or "empty"
        what = f"X-Original-URI is made of {named}, not of the path as the client wrote it"
        yield Problem(where=found.where, what=what, fix=fix)


def _timeouts(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    for name in TIMEOUTS:
        if not context.value(name):
            what = f"{context.title} has no {name}, which is then 60 s"
            yield Problem(where=context.block.where, what=what, fix=f"{name} 1s;")
    least = asking.expected.patience_seconds
    value = context.value("proxy_read_timeout")
    if value and least is not None and _seconds(value) < least:
        what = f"proxy_read_timeout is {value}, and extauthz may take {least:g} s"
        yield Problem(where=context.place("proxy_read_timeout"), what=what, fix=f"proxy_read_timeout {least:g}s;")


def _seconds(text: str) -> float:
    return sum(int(number) * _SECONDS[unit] for number, unit in _TIME.findall(text))


def _upload(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    if context.value("client_max_body_size", "1m") != "0":
        what = f"{context.title} limits the size of uploads a second time"
        yield warning(context.place("client_max_body_size"), what, "client_max_body_size 0;")


def _error_page(asking: Asking) -> Iterator[Problem]:
    context = asking.context
    for page in context.holding("error_page"):
        changed = [word for word in page.args if word == "=" or word.startswith("=2")]
        if changed:
            what = f"error_page {' '.join(page.args)} holds in {context.title}: a failure can become a 200"
            yield Problem(where=page.where, what=what, fix="take it out, or move it into the locations that need it")


AUTH_CHECKS: tuple[Check[Asking], ...] = (
    Check(
        name="auth-endpoint",
        good=f"extauthz is asked at {ENDPOINT}",
        why="Anywhere else it answers 404, and every request ends in 500.",
        look=_endpoint,
    ),
    Check(
        name="auth-error-page",
        good="no failure of extauthz becomes a success",
        why="Whatever is 2xx there lets the request pass: extauthz only has to fail.",
        look=_error_page,
    ),
    Check(
        name="auth-backup",
        good="nobody answers in place of extauthz",
        why="A page that says sorry with a 200 is a yes to auth_request: extauthz only has to fail.",
        look=_backup,
    ),
    Check(
        name="auth-body",
        good="extauthz is asked without the client's body",
        why="The body is never sent, so a question that announces one waits for it until the timeout.",
        look=_body,
    ),
    Check(
        name="auth-headers",
        good="extauthz gets the token and the host, and nothing that a client made up",
        why="extauthz believes what NGINX tells it about a request.",
        look=_metadata,
    ),
    Check(
        name="auth-method",
        good="extauthz judges the method that is served",
        why="The question itself is always a GET: without the true method, or with another, the wrong rule decides.",
        look=_method,
    ),
    Check(
        name="auth-raw-uri",
        good="extauthz judges the path as the client wrote it",
        why="A decoded path is another one than the application gets, and a %0d%0a in it starts a header of its own.",
        look=_uri,
    ),
    Check(
        name="auth-timeouts",
        good="NGINX waits for extauthz long enough, and not for a minute",
        why="Too short turns slow tokens into 503, and 60 s hold every client while extauthz hangs.",
        look=_timeouts,
    ),
    Check(
        name="auth-upload",
        good="large uploads can be asked about",
        why="The limit is applied to the question as well: a large upload is 413 there and 500 for the client.",
        look=_upload,
    ),
)
