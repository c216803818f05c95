"""`extauthz policy explain`."""

import json
import sys
import time
from pathlib import Path

import click

from extauthz.cli.policy_files import config_option, open_sound, policy_option
from extauthz.cli.policy_token import Asked, live_state
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule
from extauthz.policy_tools.ask import Url, question, read_url
from extauthz.policy_tools.explain import explain as explained, rule_for
from extauthz.policy_tools.pretend import Pretended, pretend
from extauthz.policy_tools.report import as_json, as_text
from extauthz.wire.envoy.service import Options


@click.command()
@click.argument("method")
@click.argument("url")
@policy_option
@config_option
@click.option("--token", help="Ask the authorization server about this token; - reads it from standard input.")
@click.option("--scope", help="As if the token had these scopes, separated by spaces.")
@click.option("--sub", help="As if the token had this subject.")
@click.option("--client-id", help="As if the token had been issued to this client.")
@click.option("--aud", multiple=True, help="As if the token were for this audience.  [default: the route's]")
@click.option("--iss", help="As if the token were from this issuer.  [default: one of the route's]")
@click.option("--inactive", is_flag=True, help="As if the token were inactive.")
@click.option("--expired", is_flag=True, help="As if the token had run out.")
@click.option("--claim", "claims", multiple=True, metavar="NAME=JSON", help="As if the token had this claim.")
@click.option("--brief", is_flag=True, help="Leave out the answers of the doors.")
@click.option("--json", "as_document", is_flag=True, help="One JSON document.")
def explain(
    *,
    method: str,
    url: str,
    policy: Path | None,
    config: Path | None,
    token: str | None,
    scope: str | None,
    sub: str | None,
    client_id: str | None,
    aud: tuple[str, ...],
    iss: str | None,
    claims: tuple[str, ...],
    inactive: bool,
    expired: bool,
    brief: bool,
    as_document: bool,
) -> None:
    """Say why a request passes or not: the rule, why no other, what is missing, and every door's answer.

    URL is https://host/path or /path. Without an option about a token the request has none.
    """
    source = open_sound(policy, config)
    pretended = Pretended(
        scope=scope,
        sub=sub,
        client_id=client_id,
        aud=aud or None,
        iss=iss,
        claims=_claims(claims),
        inactive=inactive,
        expired=expired,
    )
    if token is not None and pretended != Pretended():
        raise click.UsageError("--token asks about a real token: leave out the options that pretend to have one")
    request = question(method, _url(url), with_token=token is not None or pretended != Pretended())
    rule = rule_for(source, request)
    now = time.time()
    asked = _live(token, config, rule) if token is not None else None
    state, options = asked or (pretend(pretended, rule, now), Options())
    explanation = explained(source, request, state, now, options)
    if as_document:
        click.echo(json.dumps(as_json(explanation, source), indent=2))
    else:
        click.echo(as_text(explanation, source, octets=not brief))


def _url(text: str) -> Url:
    try:
        return read_url(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None


def _live(token: str, config: Path | None, rule: Rule | None) -> Asked:
    if rule is None or rule.anonymous:
        return Asked(Active(scopes=frozenset()))  # nobody looks at it
    text = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - the way to name standard input
    return live_state(config, rule, text)


def _claims(written: tuple[str, ...]) -> dict[str, object]:
    claims: dict[str, object] = {}
    for each in written:
        name, _, value = each.partition("=")
        try:
            claims[name] = json.loads(value)
        except json.JSONDecodeError:
            claims[name] = value
    return claims
