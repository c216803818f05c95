"""The cluster of extauthz in an Envoy file: how it is spoken to, and when an instance is left alone."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from extauthz.config.document import Path
from extauthz.doctor.envoy_api import Cluster, Http2ProtocolOptions, HttpProtocolOptions
from extauthz.doctor.envoy_chain import Authz, clusters
from extauthz.doctor.envoy_file import EnvoyFile, unpack
from extauthz.doctor.findings import Check, Problem, Severity

SERVICE = "envoy.service.auth.v3.Authorization"
"""The name by which extauthz says whether it is healthy; the empty one will do too."""

LEAST_PING_INTERVAL = timedelta(seconds=1)
"""Who pings more often is told to go away (`too_many_pings`)."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _cluster(authz: Authz) -> tuple[Path, Cluster] | None:
    """The cluster of extauthz, when it stands in the file."""
    return clusters(authz.chain.file).get(authz.cluster_name)


def _known(authz: Authz) -> Iterator[Problem]:
    if _cluster(authz) is None:
        what = "the cluster of extauthz is not in this file: its health check could not be looked at"
        fix = "name the cluster of extauthz there, and write it as in gateway/envoy.yaml"
        place = "grpc_service" if authz.http is None else "http_service"
        yield authz.problem((place,), what, fix, Severity.WARNING)


def _in_cluster(look: Callable[[EnvoyFile, Path, Cluster], Iterator[Problem]]) -> Callable[[Authz], Iterator[Problem]]:
    """A check of the cluster of extauthz."""

    def look_there(authz: Authz) -> Iterator[Problem]:
        found = _cluster(authz)
        if found is not None:
            yield from look(authz.chain.file, *found)

    return look_there


def _http2_options(cluster: Cluster) -> Http2ProtocolOptions | None:
    """How the cluster speaks HTTP/2; None when it does not."""
    options = unpack(cluster.typed_extension_protocol_options.get(_HTTP_OPTIONS))
    if not isinstance(options, HttpProtocolOptions):
        return cluster.http2_protocol_options
    if options.auto_config is not None:
        return options.auto_config.http2_protocol_options or Http2ProtocolOptions()
    return options.explicit_http_config.http2_protocol_options if options.explicit_http_config is not None else None


def _http2(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    if _http2_options(cluster) is not None:
        return
    fix = f'{_HTTP_OPTIONS}: {{"@type": …, explicit_http_config: {{http2_protocol_options: {{}}}}}}'
    where = file.where((*path, "typed_extension_protocol_options"))
    yield Problem(where=where, what=f"the cluster {cluster.name} does not speak HTTP/2", fix=fix)


def _keepalive(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    options = _http2_options(cluster)
    if options is None:
        return
    keepalive = options.connection_keepalive
    where = file.where((*path, "typed_extension_protocol_options"))
    fix = "http2_protocol_options: {connection_keepalive: {interval: 30s, timeout: 5s}}"
    if keepalive is None or not keepalive.interval:
        what = f"the cluster {cluster.name} does not notice a connection that died"
        yield Problem(where=where, what=what, fix=fix, severity=Severity.WARNING)
    elif keepalive.interval < LEAST_PING_INTERVAL:
        what = f"the cluster {cluster.name} pings more often than once a second, and is told to go away"
        yield Problem(where=where, what=what, fix=fix)


def _checked(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    if not cluster.health_checks:
        where = file.where((*path, "health_checks"))
        fix = "health_checks: [{…}]   as in gateway/envoy.yaml, or in envoy-http-service.yaml"
        yield Problem(where=where, what=f"the cluster {cluster.name} has no health check", fix=fix)


def _health(file: EnvoyFile, path: Path, cluster: Cluster) -> Iterator[Problem]:
    fix = f"health_checks: [{{…, grpc_health_check: {{service_name: {SERVICE}}}}}]"
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
        name="health-check",
        good="an instance that is not ready is not asked",
        why="Envoy then learns of a start or a drain from requests that fail.",
        look=_in_cluster(_checked),
    ),
    Check(
        name="panic-threshold",
        good="an instance that drains is left alone",
        why="By default Envoy ignores health when half of the instances are unwell, which a single one is at once.",
        look=_in_cluster(_panic),
    ),
)

GRPC_CLUSTER_CHECKS: tuple[Check[Authz], ...] = (
    Check(
        name="http2",
        good="Envoy speaks HTTP/2 with extauthz",
        why="gRPC needs HTTP/2: without it every question fails.",
        look=_in_cluster(_http2),
    ),
    Check(
        name="keepalive",
        good="Envoy notices a connection that died",
        why="A host that vanished answers nothing: requests wait for the timeout, one after the other.",
        look=_in_cluster(_keepalive),
    ),
    Check(
        name="grpc-health-check",
        good="health is asked by gRPC, by a name that extauthz knows",
        why="An instance that cannot say that it is well is never asked, or always.",
        look=_in_cluster(_health),
    ),
)
