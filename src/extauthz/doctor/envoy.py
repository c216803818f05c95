"""An Envoy bootstrap file, looked at for what an authorizer with token introspection needs. Pure: text to findings.

The settings of the ext_authz filter are judged in `envoy_authz`; here is what stands around it.
"""

from collections.abc import Callable, Iterator

from extauthz.config.document import Path
from extauthz.doctor.envoy_api import Cluster, EscapedSlashes, HttpProtocolOptions, Underscores
from extauthz.doctor.envoy_authz import AUTHZ_CHECKS
from extauthz.doctor.envoy_chain import Authz, Chain, authz_filters, chains, clusters
from extauthz.doctor.envoy_file import EnvoyFile, read_envoy, unpack
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Check, Finding, Problem, Severity, run

SERVICE = "envoy.service.auth.v3.Authorization"
"""The name by which extauthz says whether it is healthy; the empty one will do too."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


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
        *run(CLUSTER_CHECKS, filters, file),
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
    where: Path = ("http_filters", off[0].index) if off else ("http_filters",)
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


def _cluster(authz: Authz) -> tuple[Path, Cluster] | None:
    """The cluster of extauthz, when it stands in the file."""
    service = authz.config.grpc_service
    name = service.envoy_grpc.cluster_name if service is not None and service.envoy_grpc is not None else ""
    return clusters(authz.chain.file).get(name)


def _known(authz: Authz) -> Iterator[Problem]:
    if _cluster(authz) is None:
        what = "the cluster of extauthz is not in this file: its health check could not be looked at"
        fix = "envoy_grpc: {cluster_name: extauthz}, and that cluster as in gateway/envoy.yaml"
        yield authz.problem(("grpc_service",), what, fix, Severity.WARNING)


def _in_cluster(look: Callable[[EnvoyFile, Path, Cluster], Iterator[Problem]]) -> Callable[[Authz], Iterator[Problem]]:
    """A check of the cluster of extauthz."""

    def look_there(authz: Authz) -> Iterator[Problem]:
        found = _cluster(authz)
        if found is not None:
            yield from look(authz.chain.file, *found)

    return look_there


def _http2(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    options = unpack(cluster.typed_extension_protocol_options.get(_HTTP_OPTIONS))
    if isinstance(options, HttpProtocolOptions):
        explicit = options.explicit_http_config
        if options.auto_config is not None or (explicit is not None and explicit.http2_protocol_options is not None):
            return
    elif cluster.http2_protocol_options is not None:
        return
    fix = f'{_HTTP_OPTIONS}: {{"@type": …, explicit_http_config: {{http2_protocol_options: {{}}}}}}'
    where = file.where((*path, "typed_extension_protocol_options"))
    yield Problem(where=where, what=f"the cluster {cluster.name} does not speak HTTP/2", fix=fix)


def _health(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    fix = f"health_checks: [{{…, grpc_health_check: {{service_name: {SERVICE}}}}}]"
    if not cluster.health_checks:
        where = file.where((*path, "health_checks"))
        yield Problem(where=where, what=f"the cluster {cluster.name} has no health check", fix=fix)
    for index, each in enumerate(cluster.health_checks):
        where = file.where((*path, "health_checks", index, "grpc_health_check", "service_name"))
        if each.grpc_health_check is None:
            yield Problem(where=where, what="this health check does not ask by gRPC", fix=fix)
        elif each.grpc_health_check.service_name not in ("", SERVICE):
            what = f"extauthz knows no service {each.grpc_health_check.service_name}, and is never healthy"
            yield Problem(where=where, what=what, fix=fix)


def _panic(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    common = cluster.common_lb_config
    threshold = common.healthy_panic_threshold if common is not None else None
    if threshold is None or threshold.value != 0:
        where = file.where((*path, "common_lb_config", "healthy_panic_threshold"))
        fix = "common_lb_config: {healthy_panic_threshold: {value: 0}}"
        yield Problem(
            where=where, what=f"the cluster {cluster.name} asks instances that say they are not well", fix=fix
        )


CLUSTER_CHECKS: tuple[Check[Authz], ...] = (
    Check(
        name="cluster",
        good="the cluster of extauthz is in the file",
        why="Without its health check, Envoy asks instances that are starting or draining.",
        look=_known,
    ),
    Check(
        name="http2",
        good="Envoy speaks HTTP/2 with extauthz",
        why="gRPC needs HTTP/2: without it every question fails.",
        look=_in_cluster(_http2),
    ),
    Check(
        name="health-check",
        good="an instance that is not ready is not asked",
        why="Envoy then learns of a start or a drain from requests that fail.",
        look=_in_cluster(_health),
    ),
    Check(
        name="panic-threshold",
        good="an instance that drains is left alone",
        why="By default Envoy ignores health when half of the instances are unwell, which a single one is at once.",
        look=_in_cluster(_panic),
    ),
)
