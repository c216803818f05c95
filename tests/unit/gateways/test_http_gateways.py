"""The files for gateways that ask over HTTP are as strict as they look."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from extauthz.core.identity import FAILURE_MODE_HEADER, twins
from extauthz.wire.http import forward_auth
from extauthz.wire.http.envoy_http import PATH as ENVOY_PATH
from support.snippets import (
    EXAMPLE,
    FOR_CLIENTS,
    GATEWAY,
    IDENTITY,
    NOT_FOR_CLIENTS,
    OTHER_REQUESTS,
    PORT,
    Document,
    documents,
    lower,
)


class TestTraefik:
    HTTP: Document = documents("traefik.yaml")[0]["http"]
    AUTH: Document = HTTP["middlewares"]["extauthz"]["forwardAuth"]

    def test_the_question_goes_to_our_path(self) -> None:
        """Where the example listens."""
        url = urlsplit(self.AUTH["address"])
        assert f"{url.hostname}:{url.port}" == EXAMPLE["listen"]["gateway"]
        assert url.path.encode() == forward_auth.PATH

    def test_traefik_says_itself_which_request_it_is(self) -> None:
        """Written out, because releases differ in what they do without it."""
        assert self.AUTH["trustForwardHeader"] is False

    def test_every_identity_header_is_replaced(self) -> None:
        """And `Authorization` is not among them: it would be removed."""
        assert lower(self.AUTH["authResponseHeaders"]) == IDENTITY

    def test_forgeries_are_removed_before_the_check(self) -> None:
        """After it, the identity would be removed."""
        (router,) = self.HTTP["routers"].values()
        headers = self.HTTP["middlewares"]["no-forgeries"]["headers"]["customRequestHeaders"]
        assert router["middlewares"] == ["no-forgeries", "extauthz"]
        assert router["service"] in self.HTTP["services"]
        assert lower(headers) == NOT_FOR_CLIENTS | OTHER_REQUESTS
        assert set(headers.values()) == {""}


class TestCaddyfile:
    LINES: tuple[list[str], ...] = tuple(
        line.partition(" #")[0].split() for line in (GATEWAY / "Caddyfile").read_text().splitlines()
    )

    def values(self, *head: str) -> list[str]:
        """What follows these words, wherever they begin a line."""
        return [word for line in self.LINES if line[: len(head)] == list(head) for word in line[len(head) :]]

    def test_the_question_goes_to_our_path(self) -> None:
        """Where the example listens."""
        assert self.values("forward_auth") == [EXAMPLE["listen"]["gateway"], "{"]
        assert [path.encode() for path in self.values("uri")] == [forward_auth.PATH]

    def test_every_identity_header_is_replaced(self) -> None:
        """All of them, under their names."""
        assert lower(self.values("copy_headers")) == IDENTITY

    def test_forgeries_are_removed_before_the_check(self) -> None:
        """In a route block, where the order is the one that is written."""
        order = [
            line[0]
            for line in self.LINES
            if line and line[0] in ("route", "request_header", "forward_auth", "reverse_proxy")
        ]
        removed = {value.removeprefix("-").lower() for value in self.values("request_header") if value.startswith("-")}
        assert removed == NOT_FOR_CLIENTS | OTHER_REQUESTS
        assert order == [
            "route",
            *["request_header"] * len(removed),
            "forward_auth",
            *["request_header"] * 2,
            "reverse_proxy",
        ]


class TestEnvoyHttpService:
    DOCUMENT: Document = documents("envoy-http-service.yaml")[0]
    MANAGER: Document = DOCUMENT["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    FILTERS: Mapping[str, Document] = {
        each["name"].rpartition(".")[2]: each["typed_config"] for each in MANAGER["http_filters"]
    }
    AUTHZ: Document = FILTERS["ext_authz"]
    SERVICE: Document = AUTHZ["http_service"]
    CLUSTERS: Mapping[str, Document] = {each["name"]: each for each in DOCUMENT["static_resources"]["clusters"]}
    CLUSTER: Document = CLUSTERS[SERVICE["server_uri"]["cluster"]]

    def test_the_question_is_the_request_behind_our_prefix(self) -> None:
        """Never one path for all, which would hide the request that is meant."""
        assert self.SERVICE["path_prefix"].encode() == ENVOY_PATH
        assert "path_override" not in self.SERVICE
        assert self.SERVICE["server_uri"]["timeout"] == "1s"

    def test_no_answer_is_a_503(self) -> None:
        """Any 5xx is no answer here."""
        assert self.AUTHZ["failure_mode_allow"] is False
        assert self.AUTHZ["status_on_error"] == {"code": "ServiceUnavailable"}
        assert self.AUTHZ["clear_route_cache"] is False
        assert not {"filter_enabled", "shadow_mode", "with_request_body"} & self.AUTHZ.keys()

    def test_the_identity_is_named_at_all_three_places(self) -> None:
        """Stripped, taken over, and allowed to change, with every twin."""
        removed = self.FILTERS["header_mutation"]["mutations"]["request_mutations"]
        assert {each["remove"] for each in removed if "remove" in each} == NOT_FOR_CLIENTS | OTHER_REQUESTS
        response = self.SERVICE["authorization_response"]
        assert {each["exact"] for each in response["allowed_upstream_headers"]["patterns"]} == IDENTITY
        allowed = re.compile(self.AUTHZ["decoder_header_mutation_rules"]["allow_expression"]["regex"])
        assert all(allowed.search(twin) for name in IDENTITY for twin in twins(name))
        assert allowed.search(FAILURE_MODE_HEADER)
        assert not any(allowed.search(name) for name in (":path", "host", "x-auth-subject"))

    def test_the_client_gets_of_a_denial_what_it_needs_and_no_more(self) -> None:
        """Without the list, it gets all."""
        patterns = self.SERVICE["authorization_response"]["allowed_client_headers"]["patterns"]
        assert {each["exact"] for each in patterns} == FOR_CLIENTS

    def test_it_is_as_strict_as_the_file_for_grpc(self) -> None:
        """What is not about asking is the same in both."""
        grpc = documents("envoy.yaml")[0]["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
        for key in ("normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "use_remote_address"):
            assert self.MANAGER[key] == grpc["typed_config"][key]
        for key in ("common_http_protocol_options", "local_reply_config", "request_headers_timeout"):
            assert self.MANAGER[key] == grpc["typed_config"][key]
        ours = dict(self.FILTERS["header_mutation"])
        assert ours == grpc["typed_config"]["http_filters"][0]["typed_config"]

    def test_health_is_asked_on_the_port_of_the_operator(self) -> None:
        """And an instance that drains is not asked."""
        (check,) = self.CLUSTER["health_checks"]
        endpoint = self.CLUSTER["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        assert check["http_health_check"] == {"path": "/readyz"}
        assert endpoint["health_check_config"]["port_value"] == int(EXAMPLE["listen"]["ops"].rpartition(":")[2])
        assert endpoint["address"]["socket_address"]["port_value"] == PORT
        assert self.CLUSTER["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
