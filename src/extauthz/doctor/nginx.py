"""An nginx.conf, looked at for what lets requests pass unchecked. Pure: text to findings.

`auth_request` fails closed by itself. What opens it are a few lines beside it, and those are what is looked for here;
the location that asks extauthz has its own checks in `nginx_auth`, the edge cache in `nginx_cache`.
"""

import re
from collections.abc import Iterator

from extauthz.config.faults import nearest
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Check, Finding, Problem, Severity, run
from extauthz.doctor.nginx_auth import AUTH_CHECKS
from extauthz.doctor.nginx_cache import CACHE_CHECKS, keeps
from extauthz.doctor.nginx_identity import IDENTITY
from extauthz.doctor.nginx_includes import split_dump
from extauthz.doctor.nginx_site import Context, Site, sites, warning
from extauthz.doctor.nginx_syntax import Includes, NginxSyntaxError, no_includes, parse

ANSWERS = ("401", "403", "500")
"""What NGINX itself makes of our denials."""

_AFTER_THE_CHECK = frozenset({"404", "405", "502", "504"})
"""Statuses that arise only once `auth_request` has let the request pass."""

_REDIRECTS = ("redirect", "permanent")
_RAW_PASSES = ("proxy_pass", "grpc_pass")
_PASS_WITH_PATH = re.compile(r"\w+://(?:unix:[^:]+:|[^/]+)/.*")


def examine_nginx(text: str, file: str, expected: Expected, includes: Includes = no_includes) -> list[Finding]:
    """Everything that is wrong in an nginx.conf, or in what `nginx -T` prints, and what was found to be right."""
    dump = split_dump(text)
    text, file, includes = dump or (text, file, includes)
    try:
        parsed = parse(text, file, includes)
    except NginxSyntaxError as error:
        return [_unreadable(error)]
    found = [site for site in sites(parsed, expected) if site.questions or site.applications]
    asking = [each for site in found for each in site.asking]
    return [
        *([] if any(site.questions for site in found) else [_nobody_asks(file)]),
        *run(SITE_CHECKS, found, file),
        *run(AUTH_CHECKS, asking, file),
        *run(CACHE_CHECKS, [each for each in asking if keeps(each)], file),
        *(_unread(each.where, " ".join(each.args)) for each in parsed.unread),
    ]


def _unreadable(error: NginxSyntaxError) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        check="nginx-syntax",
        where=error.where,
        what=error.message,
        why="NGINX does not start with this file.",
        fix="nginx -t shows the place",
    )


def _nobody_asks(file: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        check="auth-request",
        where=file,
        what="there is no auth_request in this file",
        why="Nothing that comes in by it is checked.",
        fix="name the file that NGINX is started with, or take gateway/nginx.conf as a pattern",
    )


def _unread(where: str, pattern: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        check="nginx-include",
        where=where,
        what=f"{pattern} could not be read",
        why="What stands there was not looked at, and may well be the hole.",
        fix="nginx -T > all.conf, and give that file",
    )


def _unchecked(site: Site) -> Iterator[Problem]:
    for each in site.applications:
        if not each.question and each.location.modifier != "@":
            yield _open(each)
    for each in (*site.applications, *site.inner_applications):
        if not each.question and (each.location.modifier == "@" or each.location.own("internal")):
            yield from _leading_there(site, each)


def _open(context: Context) -> Problem:
    off = context.holding("auth_request")
    what = f"{context.title} passes requests on unchecked" + (f" (auth_request off, {off[-1].where})" if off else "")
    if context.location.modifier != "=":
        fix = "auth_request /_extauthz;   and for what is public, `allow: anonymous` in the policy"
        return Problem(where=context.block.where, what=what, fix=fix)
    passing = next(each for each in context.own(*_RAW_PASSES, "fastcgi_pass", "uwsgi_pass", "scgi_pass"))
    target = " ".join(passing.args)
    if passing.name in _RAW_PASSES and not _PASS_WITH_PATH.fullmatch(target):
        what += ", with the path as the client wrote it: /secret/..%2f… comes here too and is passed on raw"
        return Problem(where=passing.where, what=what, fix=f"{passing.name} {target}{context.location.uri};")
    return warning(context.block.where, what, "`allow: anonymous` in the policy, which keeps the audit line")


def _leading_there(site: Site, context: Context) -> Iterator[Problem]:
    """Ways into a location that clients cannot name: only those are good that were checked before."""
    for each in (site.server, *site.locations):
        for leading in each.own("try_files", "error_page"):
            statuses = {word for word in leading.args[:-1] if word.isdigit()}
            checked = each.question and (leading.name == "try_files" or statuses <= _AFTER_THE_CHECK)
            target = "".join(leading.args[-1:])
            if not checked and context.location.takes(target):
                what = f"{leading.name} leads unchecked to {target}, which passes requests on to an application"
                yield Problem(where=leading.where, what=what, fix=f"auth_request /_extauthz;   in {context.title}")


def _questions(site: Site) -> Iterator[Problem]:
    there = [each.uri for each in site.exact]
    for each in site.questions:
        uri = each.args[0]
        if "?" not in uri and uri in there:
            continue
        reason = "it has a query" if "?" in uri else "there is no such `location =`"
        what = f"auth_request {uri} leads to no location of its own: {reason}"
        meant = nearest(uri.partition("?")[0], there) or "/_extauthz"
        yield Problem(where=each.where, what=what, fix=f"auth_request {meant};   with   location = {meant} {{ … }}")


def _internal(site: Site) -> Iterator[Problem]:
    for context in (each.context for each in site.asking):
        if not context.own("internal"):
            yield Problem(where=context.block.where, what=f"{context.title} is open to the world", fix="internal;")


def _rewrites(site: Site) -> Iterator[Problem]:
    for each in site.checked:
        if each.location.modifier == "@" or each.location.own("internal"):
            continue
        for early in each.own("return", "rewrite"):
            what = f"`{early.name} {' '.join(early.args)}` runs before auth_request in {each.title}"
            fix = "take it out, or write `auth_request off;` beside it to say that this is open"
            yield Problem(where=early.where, what=what, fix=fix)
    if site.checked:
        yield from _server_rewrites(site)


def _server_rewrites(site: Site) -> Iterator[Problem]:
    blocks = [site.server, *(each for each in site.server.inside() if each.block.name == "if")]
    for each in (rewrite for block in blocks for rewrite in block.own("rewrite")):
        if each.args[-1:] and each.args[-1] not in _REDIRECTS and not each.args[1].startswith("http"):
            what = f"`rewrite {' '.join(each.args)}` serves another path than the one that is judged"
            yield warning(each.where, what, "give the policy a route for the path as clients write it")


def _satisfy(site: Site) -> Iterator[Problem]:
    for each in site.checked:
        if each.value("satisfy") == "any":
            what = f"satisfy any holds in {each.title}: an `allow` or a password lets pass what extauthz denies"
            yield Problem(where=each.place("satisfy"), what=what, fix="satisfy all;")


def _answers(site: Site) -> Iterator[Problem]:
    for each in site.applications:
        if not each.question:
            continue
        pages = [page for page in each.holding("error_page") if set(page.args) & set(ANSWERS)]
        missing = [status for status in ANSWERS if not any(status in page.args for page in pages)]
        if missing:
            what = f"{each.title} has no error_page for {', '.join(missing)}"
            yield warning(each.block.where, what, "error_page 401 403 500 @denied;   and what it leads to")
        for page in pages:
            if any(word.startswith("=2") for word in page.args):
                what = f"error_page {' '.join(page.args)} shows clients a denial as a success"
                yield Problem(where=page.where, what=what, fix="error_page 401 403 500 @denied;")


def _twins(site: Site) -> Iterator[Problem]:
    for name, safe in (("underscores_in_headers", "off"), ("ignore_invalid_headers", "on")):
        if site.server.value(name, safe) != safe:
            what = f"{name} {site.server.value(name)} lets X_Auth_Sub or X.Auth.Sub in beside X-Auth-Sub"
            yield Problem(where=site.server.place(name), what=what, fix=f"{name} {safe};")


SITE_CHECKS: tuple[Check[Site], ...] = (
    Check(
        name="unchecked",
        good="every location that leads to an application asks extauthz",
        why="Nobody asks for a token there, whatever the policy says.",
        look=_unchecked,
    ),
    Check(
        name="auth-uri",
        good="each auth_request names exactly one location",
        why="NGINX asks whatever location matches instead, the application itself, and its 200 means yes.",
        look=_questions,
    ),
    Check(
        name="auth-internal",
        good="the location that asks extauthz is internal",
        why="Clients could ask extauthz in the name of others, with metadata of their own.",
        look=_internal,
    ),
    Check(
        name="rewrite-phase",
        good="nothing answers or rewrites before auth_request",
        why="return and rewrite run before auth_request: the answer goes out, or another path is served, unasked.",
        look=_rewrites,
    ),
    Check(
        name="satisfy",
        good="nothing can stand in for auth_request",
        why="With satisfy any, the denial of extauthz is one opinion out of several.",
        look=_satisfy,
    ),
    IDENTITY,
    Check(
        name="no-twins",
        good="headers with _ or . in their names are dropped",
        why="Many an application reads X_Auth_Sub as X-Auth-Sub, and clients may send it.",
        look=_twins,
    ),
    Check(
        name="answers",
        good="denials get their true status and challenge back",
        why="NGINX by itself drops the challenge of a 403 and turns 400, 429 and 503 into 500.",
        look=_answers,
    ),
)
