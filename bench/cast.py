"""The parts of the rows, by name: each is started when a row first asks for it."""

from bench.stage import Cast, Part, Stage
from bench.workload import policy

ALL_DIALECTS = ("nginx", "forward-auth", "envoy", "gateway-api")


def _extauthz(stage: Stage, name: str, *, rules: str = "", grpcio: bool = False, **more: object) -> Part:
    _, introspection = stage.start_backends()
    return stage.start_extauthz(name, introspection, rules=rules, grpcio=grpcio, more=more)


def _with_redis(stage: Stage) -> Part:
    shared = {"redis": f"redis://127.0.0.1:{stage.start_redis()}/0", "keys": {"file": "keys"}}
    return _extauthz(stage, "extauthz redis", shared_cache=shared)


CAST: Cast = {
    "h2corn": lambda stage: stage.start_floor("h2corn"),
    "grpcio": lambda stage: stage.start_floor("grpcio"),
    "asgi": lambda stage: stage.start_floor("asgi"),
    "return 200": lambda stage: stage.start_verdict(),
    "extauthz": lambda stage: _extauthz(stage, "extauthz"),
    "extauthz grpcio": lambda stage: _extauthz(stage, "extauthz grpcio", grpcio=True),
    "extauthz edge": lambda stage: _extauthz(stage, "extauthz edge", rules=policy(edge_cache=True)),
    "extauthz dialects": lambda stage: _extauthz(stage, "extauthz dialects", dialects=ALL_DIALECTS),
    "extauthz 2 workers": lambda stage: _extauthz(stage, "extauthz 2 workers", workers=2),
    "extauthz no audit": lambda stage: _extauthz(stage, "extauthz no audit", audit={"path": "off"}),
    "extauthz redis": _with_redis,
    "envoy no-op": lambda stage: stage.start_envoy("envoy no-op", stage["h2corn"]),
    "envoy extauthz": lambda stage: stage.start_envoy("envoy extauthz", stage["extauthz"]),
    "envoy alone": lambda stage: stage.start_envoy("envoy alone", None),
    "nginx no-op": lambda stage: stage.start_nginx("nginx no-op", stage["asgi"]),
    "nginx extauthz": lambda stage: stage.start_nginx("nginx extauthz", stage["extauthz"]),
    "nginx return 200": lambda stage: stage.start_nginx("nginx return 200", stage["return 200"]),
    "nginx edge": lambda stage: stage.start_nginx("nginx edge", stage["extauthz edge"], edge_cache=True),
}
