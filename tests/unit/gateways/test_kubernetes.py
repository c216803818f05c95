"""The files for controllers in Kubernetes are as strict as they look."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from extauthz.wire.http import nginx
from extauthz.wire.http.envoy_http import PATH as ENVOY_PATH
from support.snippets import FOR_CLIENTS, HOST, IDENTITY, NOT_FOR_CLIENTS, PORT, Document, lower, of_kind


class TestIstio:
    CONFIG: Document = of_kind("istio.yaml", "IstioOperator")["spec"]["meshConfig"]
    PROVIDERS: Mapping[str, Document] = {each["name"]: each for each in CONFIG["extensionProviders"]}

    @pytest.mark.parametrize(
        ("provider", "kind"), [("extauthz", "envoyExtAuthzGrpc"), ("extauthz-http", "envoyExtAuthzHttp")]
    )
    def test_no_answer_is_a_503_after_a_second(self, provider: str, kind: str) -> None:
        """Istio waits ten minutes unless told otherwise, and its status is text."""
        settings = self.PROVIDERS[provider][kind]
        assert (settings["service"], settings["port"]) == (HOST, PORT)
        assert (settings["timeout"], settings["failOpen"], settings["statusOnError"]) == ("1s", False, "503")

    def test_over_http_the_prefix_and_the_headers_are_ours(self) -> None:
        """What is not listed upstream passes as the client wrote it; what is not listed downstream is lost."""
        settings = self.PROVIDERS["extauthz-http"]["envoyExtAuthzHttp"]
        assert settings["pathPrefix"].encode() == ENVOY_PATH
        assert set(settings["headersToUpstreamOnAllow"]) == IDENTITY
        asked = ["authorization", "x-request-id", "traceparent", "origin", "access-control-request-method"]
        assert settings["includeRequestHeadersInCheck"] == asked
        assert set(settings["headersToDownstreamOnDeny"]) == FOR_CLIENTS

    def test_every_request_is_selected_for_a_provider_that_there_is(self) -> None:
        """A rule without conditions matches all; no rule at all would match none."""
        spec = of_kind("istio.yaml", "AuthorizationPolicy")["spec"]
        assert (spec["action"], spec["rules"]) == ("CUSTOM", [{}])
        assert spec["provider"]["name"] in self.PROVIDERS

    def test_the_path_that_is_judged_is_the_path_that_is_served(self) -> None:
        """Slashes are merged before the check."""
        assert self.CONFIG["pathNormalization"] == {"normalization": "MERGE_SLASHES"}


class TestEnvoyGateway:
    POLICY: Document = of_kind("envoy-gateway.yaml", "SecurityPolicy")
    TRAFFIC: Document = of_kind("envoy-gateway.yaml", "ClientTrafficPolicy")["spec"]

    def test_no_answer_is_a_503_after_a_second(self) -> None:
        """Its status is a number."""
        settings = self.POLICY["spec"]["extAuth"]
        assert (settings["timeout"], settings["failOpen"], settings["statusOnError"]) == ("1s", False, 503)
        assert settings["recomputeRoute"] is False

    def test_the_grant_admits_the_reference(self) -> None:
        """From the policy's namespace to the service's."""
        (service,) = self.POLICY["spec"]["extAuth"]["grpc"]["backendRefs"]
        grant = of_kind("envoy-gateway.yaml", "ReferenceGrant")
        assert service["port"] == PORT
        assert grant["metadata"]["namespace"] == service["namespace"]
        assert grant["spec"]["to"] == [{"group": "", "kind": "Service", "name": service["name"]}]
        assert grant["spec"]["from"] == [
            {
                "group": "gateway.envoyproxy.io",
                "kind": "SecurityPolicy",
                "namespace": self.POLICY["metadata"]["namespace"],
            }
        ]

    def test_forgeries_end_before_any_route_is_chosen(self) -> None:
        """Also on routes that nobody checks."""
        assert set(self.TRAFFIC["headers"]["earlyRequestHeaders"]["remove"]) >= NOT_FOR_CLIENTS
        assert self.TRAFFIC["headers"]["withUnderscoresAction"] == "RejectRequest"
        assert self.TRAFFIC["path"] == {"escapedSlashesAction": "RejectRequest", "disableMergeSlashes": False}


class TestContour:
    SERVICE: Document = of_kind("contour.yaml", "ExtensionService")
    PROXY: Document = of_kind("contour.yaml", "HTTPProxy")["spec"]

    def test_the_virtual_host_asks_the_service(self) -> None:
        """By the name under which it is declared, in clear text, for extauthz speaks no TLS."""
        authorization = self.PROXY["virtualhost"]["authorization"]
        assert authorization["extensionRef"] == self.SERVICE["metadata"]
        assert self.SERVICE["spec"]["services"] == [{"name": "extauthz", "port": PORT}]
        assert self.SERVICE["spec"]["protocol"] == "h2c"

    def test_no_answer_is_a_no(self) -> None:
        """After a second."""
        authorization = self.PROXY["virtualhost"]["authorization"]
        assert (authorization["failOpen"], authorization["responseTimeout"]) == (False, "1s")
        assert "tls" in self.PROXY["virtualhost"], "Contour refuses authorization without it"

    def test_no_route_is_left_out(self) -> None:
        """A route that is not checked keeps what its client wrote about itself."""
        assert not [route for route in self.PROXY["routes"] if "authPolicy" in route]


class TestIngressNginx:
    INGRESS: Document = of_kind("ingress-nginx.yaml", "Ingress")
    ANNOTATIONS: Mapping[str, str] = {
        name.removeprefix("nginx.ingress.kubernetes.io/"): value
        for name, value in INGRESS["metadata"]["annotations"].items()
    }

    def test_the_annotations_are_these(self) -> None:
        """Each value is text, and none brings a snippet or a cache."""
        assert self.ANNOTATIONS.keys() == {"auth-url", "auth-method", "auth-proxy-set-headers", "auth-response-headers"}
        assert all(isinstance(value, str) for value in self.ANNOTATIONS.values())

    def test_the_question_goes_to_our_path(self) -> None:
        """Host, port and path are those of the service."""
        url = urlsplit(self.ANNOTATIONS["auth-url"])
        assert (url.scheme, url.hostname, url.port, url.path.encode()) == ("http", HOST, PORT, nginx.PATH)

    def test_every_identity_header_is_replaced(self) -> None:
        """All of them, under their names."""
        assert lower(self.ANNOTATIONS["auth-response-headers"].split(",")) == IDENTITY

    def test_the_host_that_nginx_chose_is_sent_beside_the_url(self) -> None:
        """From a map in the namespace of the Ingress, the only one that the controller reads it from."""
        headers = of_kind("ingress-nginx.yaml", "ConfigMap")
        assert headers["data"] == {"X-Original-Host": "$host"}
        assert headers["metadata"]["name"] == self.ANNOTATIONS["auth-proxy-set-headers"]
        assert headers["metadata"]["namespace"] == self.INGRESS["metadata"]["namespace"]
        assert lower(headers["data"]) <= {name.decode() for name in nginx.METADATA}
