"""gateway/nginx.conf and its lines for the edge cache: off as it ships, and a key that leaves nothing out."""

import re

import pytest

from extauthz.doctor.expected import Expected
from extauthz.doctor.nginx_site import Context, made_of, sites, variables
from extauthz.doctor.nginx_syntax import parse
from support.nginx import SECRET_FILE
from support.snippets import GATEWAY

SHIPPED = (GATEWAY / "nginx.conf").read_text()
EDGE = re.sub(r"(?m)^( *)#E ", r"\1", SHIPPED)
NOT_DECISIVE = {"request_id", "remote_addr", "http_origin", "http_access_control_request_method"}
"""What extauthz is told and takes no cacheable allow from: a name; the address, by which only bad tokens are counted; and
what makes a preflight, whose answer is never kept."""


def asking(text: str) -> Context:
    """The location that asks extauthz."""
    file = parse(text, "nginx.conf", lambda pattern: [(pattern, 'set $authz_secret "x";')])
    ((site,),) = [sites(file, Expected())]
    (found,) = site.asking
    return found.context


def test_it_is_off_and_needs_no_module() -> None:
    file = parse(SHIPPED, "nginx.conf")
    assert not [each for each in file.directives if each.name == "load_module"]
    assert not [each for each in asking(SHIPPED).block.block or () if "cache" in each.name]


def test_nothing_in_the_file_is_secret() -> None:
    """The secret is made where it is used, in a file that only root reads."""
    context = asking(EDGE)
    assert [each.args[1:] for each in context.own("set")] == [("x",)], f"{SECRET_FILE} alone says it"
    (digest,) = context.own("set_hmac_sha256")
    assert digest.args == ("$authz_hmac", "$authz_secret", "$http_authorization")


@pytest.mark.shows("N60")
def test_all_that_extauthz_decides_by_is_in_the_key() -> None:
    """Whatever is told and left out of the key would be decided once, for all its values."""
    context = asking(EDGE)
    key = made_of(context, context.words("proxy_cache_key")[0])
    assert "authz_digest" in key, "a digest of Authorization"
    told = {name for header in context.headers().values() for name in variables(header.args[1])}
    assert told >= {"request_method", "authz_path", "host", "scheme", "http_authorization"}
    assert told - NOT_DECISIVE - {"http_authorization"} <= key
    assert "proxy_host" in key, "another extauthz is another policy"


@pytest.mark.shows("N60")
def test_the_parts_of_the_key_cannot_run_into_each_other() -> None:
    """No part can have a space: NGINX refuses it in a request line and in a host."""
    (key,) = asking(EDGE).words("proxy_cache_key")
    parts = key.split(" ")
    assert all(re.fullmatch(r"\$\w+", part) for part in parts[1:])
    assert parts[0] == "v1"


@pytest.mark.shows("N53", "N56")
def test_nothing_but_cache_control_decides() -> None:
    """Nor is anything old ever served, whatever holds around."""
    context = asking(EDGE)
    assert context.words("proxy_cache_valid") == ("any", "0")
    for name in ("use_stale", "background_update", "revalidate", "lock"):
        assert [each.args for each in context.own(f"proxy_cache_{name}")] == [("off",)]
    ignored = context.words("proxy_ignore_headers")
    assert {"X-Accel-Expires", "Expires"} <= set(ignored)
    assert not {"Cache-Control", "Vary", "Set-Cookie"} & set(ignored)
