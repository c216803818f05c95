"""An OpenAPI description becomes a policy that asks for what it describes; what it cannot say is refused, never open."""

from pathlib import Path

from click.testing import CliRunner, Result

from extauthz.cli.policy import policy

SPEC = """\
openapi: 3.1.0
servers: [{url: https://api.example.com/v1}]
security: [{oauth: [orders:read]}]
paths:
  /orders:
    get: {operationId: listOrders, responses: {200: {description: ok}}}
    post: {operationId: createOrder, security: [{oauth: [orders:write, orders:read]}, {oauth: [admin]}]}
  /orders/{order-id}:
    get: {operationId: getOrder}
    put: {operationId: putOrder}
  /me:
    get: {operationId: me, security: [{token: []}]}
  /health:
    get: {operationId: health, security: []}
  /maybe:
    get: {operationId: maybe, security: [{oauth: [a]}, {}]}
  /key:
    get: {operationId: key, security: [{key: []}]}
  /files/{name}.json:
    get: {operationId: file}
components:
  securitySchemes:
    oauth: {type: oauth2}
    token: {type: http, scheme: Bearer}
    key: {type: apiKey}
"""

POLICY = """\
version: 1
routes:
  - name: list-orders
    path: "/v1/orders"
    methods: [GET, HEAD]
    scopes: [orders:read]
  - name: create-order
    path: "/v1/orders"
    methods: [POST]
    scopes: {any_of: [[orders:read, orders:write], [admin]]}
  - name: get-order
    path: "/v1/orders/{order_id}"
    methods: [GET, HEAD, PUT]
    scopes: [orders:read]
  - name: me
    path: "/v1/me"
    methods: [GET, HEAD]
    scopes: []
  - name: health
    path: "/v1/health"
    methods: [GET, HEAD]
    allow: anonymous
  - name: maybe
    path: "/v1/maybe"
    methods: [GET, HEAD]
    allow: anonymous
"""


def run(folder: Path, *arguments: str, spec: str = SPEC) -> Result:
    (folder / "spec.yaml").write_text(spec)
    return CliRunner().invoke(policy, ("from-openapi", str(folder / "spec.yaml"), *arguments))


def test_operations_become_routes(tmp_path: Path) -> None:
    """Those of one path that need the same are one route; GET brings HEAD."""
    result = run(tmp_path)
    assert result.stdout.startswith(POLICY)
    assert result.exit_code == 1


def test_what_cannot_be_expressed_gets_no_route(tmp_path: Path) -> None:
    """A comment says which and why."""
    comments = [line for line in run(tmp_path).stdout.splitlines() if line.startswith("  #")]
    assert [line.partition(": ")[0] for line in comments] == ["  # GET /key", "  # GET /files/{name}.json"]
    assert "the scheme key (apiKey) is no bearer token" in comments[0]


def test_an_operation_that_says_nothing_about_security_is_not_open(tmp_path: Path) -> None:
    """Nobody gets a public route by forgetting a line."""
    result = run(tmp_path, spec=SPEC.replace("security: [{oauth: [orders:read]}]", "info: {}"))
    assert "name: list-orders" not in result.stdout
    assert "# GET /orders: it says nothing about security" in result.stdout


def test_the_policy_that_was_made_has_not_drifted(tmp_path: Path) -> None:
    """Whatever the host, and without the two operations that cannot be expressed."""
    spec = SPEC.partition("  /key:")[0] + "components:" + SPEC.partition("components:")[2]
    file = tmp_path / "policy.yaml"
    for text in (POLICY, POLICY.replace("    scopes", "    host: api.example.com\n    scopes")):
        file.write_text(text)
        result = run(tmp_path, "--check", str(file), spec=spec)
        assert (result.exit_code, result.output) == (0, "the policy asks for what is described\n")


def test_drift_is_told_in_both_directions(tmp_path: Path) -> None:
    """Another scope, a route that is missing, one that is for nothing."""
    spec = SPEC.partition("  /key:")[0] + "components:" + SPEC.partition("components:")[2]
    file = tmp_path / "policy.yaml"
    changed = POLICY.replace("{any_of: [[orders:read, orders:write], [admin]]}", "[admin]").replace("v1/me", "v1/you")
    file.write_text(changed)
    result = run(tmp_path, "--check", str(file), spec=spec)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"POST /v1/orders: create-order ({file}:7) needs admin; described: orders:read+orders:write or admin",
        "GET /v1/me: no route; described: any valid token",
        "HEAD /v1/me: no route; described: any valid token",
        f"{file}:15: me is for nothing that is described",
        "4 differences",
    ]


def test_another_file_is_refused(tmp_path: Path) -> None:
    """Swagger 2 has other words for it."""
    assert "no OpenAPI description of version 3" in run(tmp_path, spec="swagger: '2.0'\n").output
    assert run(tmp_path, spec="a: [").exit_code == 2
