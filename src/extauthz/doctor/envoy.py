"""An Envoy bootstrap file, looked at for what an authorizer with token introspection needs. Pure: text to findings.

The settings of the ext_authz filter are judged in `envoy_authz` and `envoy_http`, the cluster of extauthz in
`envoy_cluster`; here is what stands around them.
"""

from collections.abc import Callable, Iterator

from extauthz.doctor.envoy_api import EscapedSlashes, Underscores
from extauthz.doctor.envoy_authz import AUTHZ_CHECKS, GRPC_CHECKS
from extauthz.doctor.envoy_chain import Chain, authz_filters, chains
from extauthz.doctor.envoy_cluster import CLUSTER_CHECKS, GRPC_CLUSTER_CHECKS
from extauthz.doctor.envoy_file import read_envoy
from extauthz.doctor.envoy_http import HTTP_CHECKS
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Check, Finding, Problem, Severity, run


def examine_envoy(text: str, file: str, expected: Expected) -> list[Finding]:
    """Everything that is wrong in a bootstrap file, and what was found to be right."""
    envoy_file, findings = read_envoy(text, file)
    found = chains(envoy_file, expected)
    filters = [each for chain in found for each in authz_filters(chain)]
    return [
        *findings,
        *([] if found else [_no_chain(file)]),
        *run(CHAIN_CHECKS, found, file),
        *run(AUTHZ_CHECKS, filters, file),
        *run(GRPC_CHECKS, [each for each in filters if each.http is None], file),
        *run(HTTP_CHECKS, [each for each in filters if each.http is not None], file),
        *run(CLUSTER_CHECKS, filters, file),
        *run(GRPC_CLUSTER_CHECKS, [each for each in filters if each.http is None], file),
    ]


def _no_chain(file: str) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        check="ext-authz",
        where=file,
        what="there is no HTTP connection manager in this file",
        why="Nothing could be looked at.",
        fix="give the bootstrap file with the listeners in it; curl 127.0.0.1:9901/config_dump shows what Envoy uses",
    )


def _asks(chain: Chain) -> Iterator[Problem]:
    if authz_filters(chain):
        return
    off = [each for each in chain.filters if each.name.endswith("ext_authz")]
    where = ("http_filters", off[0].index) if off else ("http_filters",)
    what = "the ext_authz filter is off, or is not in this file" if off else "no ext_authz filter in this chain"
    yield chain.problem(where, what, "the filter of gateway/envoy.yaml, before envoy.filters.http.router")


def _must_be(name: str, wanted: object, shown: str) -> Callable[[Chain], Iterator[Problem]]:
    def look(chain: Chain) -> Iterator[Problem]:
        value = getattr(chain.manager, name)
        if value != wanted:
            yield chain.problem((name,), f"{name} is not {shown}", f"{name}: {shown}")

    return look


def _underscores(chain: Chain) -> Iterator[Problem]:
    options = chain.manager.common_http_protocol_options
    action = Underscores.ALLOW if options is None else options.headers_with_underscores_action
    if action != Underscores.REJECT_REQUEST:
        name = "headers_with_underscores_action"
        severity = Severity.WARNING if action == Underscores.DROP_HEADER else Severity.ERROR
        what = f"{name} is {Underscores(action).name}"
        fix = f"common_http_protocol_options: {{{name}: REJECT_REQUEST}}"
        yield chain.problem(("common_http_protocol_options", name), what, fix, severity)


def _hosts(chain: Chain) -> Iterator[Problem]:
    manager, config = chain.manager, chain.manager.route_config
    if config is None or len(config.virtual_hosts) < 2:  # noqa: PLR2004 - no other one is there to be chosen
        return
    if not manager.strip_trailing_host_dot:
        what = "with a trailing dot, a host is none of these virtual hosts"
        yield chain.problem(("strip_trailing_host_dot",), what, "strip_trailing_host_dot: true")
    if not (config.ignore_port_in_host_matching or manager.strip_any_host_port):
        name = "ignore_port_in_host_matching"
        what = "with a port, a host is none of these virtual hosts"
        yield chain.problem(("route_config", name), what, f"{name}: true")


def _elsewhere(chain: Chain) -> Iterator[Problem]:
    manager = chain.manager
    if manager.route_config is None and (manager.rds is not None or manager.scoped_routes is not None):
        what = "the routes come from elsewhere: whether one goes unchecked cannot be seen here"
        place = ("rds" if manager.rds is not None else "scoped_routes",)
        yield chain.problem(place, what, "look for disabled: true in them", Severity.WARNING)


CHAIN_CHECKS: tuple[Check[Chain], ...] = (
    Check(
        name="ext-authz",
        good="every HTTP connection manager asks extauthz",
        why="Whatever comes in there is not checked at all.",
        look=_asks,
    ),
    Check(
        name="normalize-path",
        good="paths are normalised",
        why="The path that is judged must be the path that is served: /x/../orders is /orders to an application.",
        look=_must_be("normalize_path", True, "true"),
    ),
    Check(
        name="merge-slashes",
        good="slashes are merged",
        why="The path that is judged must be the path that is served: //orders is /orders to many an application.",
        look=_must_be("merge_slashes", True, "true"),
    ),
    Check(
        name="escaped-slashes",
        good="escaped slashes are refused",
        why="/x/..%2forders is one segment for Envoy and /orders for many an application.",
        look=_must_be("path_with_escaped_slashes_action", EscapedSlashes.REJECT_REQUEST, "REJECT_REQUEST"),
    ),
    Check(
        name="virtual-hosts",
        good="one host has one virtual host, however it is written",
        why="To extauthz, api.example.com.:81 is api.example.com; to Envoy it would be the virtual host for everything else.",
        look=_hosts,
    ),
    Check(
        name="underscores",
        good="headers with underscores are refused",
        why="x_auth_sub is X-Auth-Sub to many an application, and clients may send it.",
        look=_underscores,
    ),
    Check(
        name="remote-address",
        good="the client's address and its x-envoy headers are not believed",
        why="Otherwise clients choose their own address and scheme, and x-envoy headers that steer Envoy.",
        look=_must_be("use_remote_address", True, "true"),
    ),
    Check(
        name="routes",
        good="all routes stand in the file",
        why="A route can switch the check off.",
        look=_elsewhere,
    ),
)
