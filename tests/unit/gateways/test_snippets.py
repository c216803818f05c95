"""The files in gateway/ have the keys that their APIs have, and a page each.

The key tables are the parts of those APIs that our files use, as their type definitions have them. A key that is not in
its table is a typing mistake that some of these controllers drop without a word.
"""

import re
from collections.abc import Iterator, Mapping
from typing import get_args

import pytest

from extauthz.config.fields import Dialect
from support.snippets import GATEWAY, ROOT, Document, documents

PAGES = ROOT / "docs" / "gateways"

KEYS: dict[str, Mapping[str, str]] = {
    "istio.yaml": {
        "": "apiVersion kind metadata spec",
        "spec": "meshConfig selector action provider rules",
        "spec.meshConfig": "pathNormalization extensionProviders",
        "spec.meshConfig.pathNormalization": "normalization",
        "spec.meshConfig.extensionProviders[]": "name envoyExtAuthzGrpc envoyExtAuthzHttp",
        "spec.meshConfig.extensionProviders[].envoyExtAuthzGrpc": "service port timeout failOpen statusOnError",
        "spec.meshConfig.extensionProviders[].envoyExtAuthzHttp": (
            "service port timeout failOpen statusOnError pathPrefix includeRequestHeadersInCheck"
            " headersToUpstreamOnAllow headersToDownstreamOnDeny"
        ),
        "spec.selector": "matchLabels",
        "spec.provider": "name",
        "spec.rules[]": "from to when",
    },
    "envoy-gateway.yaml": {
        "": "apiVersion kind metadata spec",
        "spec": "targetRefs extAuth from to headers path",
        "spec.targetRefs[]": "group kind name",
        "spec.from[]": "group kind namespace",
        "spec.to[]": "group kind name",
        "spec.extAuth": "grpc timeout failOpen statusOnError recomputeRoute headersToExtAuth",
        "spec.extAuth.grpc": "backendRefs",
        "spec.extAuth.grpc.backendRefs[]": "name namespace port",
        "spec.headers": "withUnderscoresAction earlyRequestHeaders",
        "spec.headers.earlyRequestHeaders": "remove",
        "spec.path": "escapedSlashesAction disableMergeSlashes",
    },
    "contour.yaml": {
        "": "apiVersion kind metadata spec",
        "spec": "protocol services timeoutPolicy virtualhost routes",
        "spec.services[]": "name port",
        "spec.timeoutPolicy": "response",
        "spec.virtualhost": "fqdn tls authorization",
        "spec.virtualhost.tls": "secretName",
        "spec.virtualhost.authorization": "extensionRef responseTimeout failOpen",
        "spec.virtualhost.authorization.extensionRef": "name namespace",
        "spec.routes[]": "conditions services",
        "spec.routes[].conditions[]": "prefix",
        "spec.routes[].services[]": "name port",
    },
    "ingress-nginx.yaml": {
        "": "apiVersion kind metadata data spec",
        "spec": "ingressClassName rules",
        "spec.rules[]": "host http",
        "spec.rules[].http": "paths",
        "spec.rules[].http.paths[]": "path pathType backend",
        "spec.rules[].http.paths[].backend": "service",
        "spec.rules[].http.paths[].backend.service": "name port",
        "spec.rules[].http.paths[].backend.service.port": "number",
    },
    "traefik.yaml": {
        "": "http",
        "http": "routers middlewares services",
        "http.routers.app": "entryPoints rule middlewares service",
        "http.middlewares.no-forgeries": "headers",
        "http.middlewares.no-forgeries.headers": "customRequestHeaders",
        "http.middlewares.extauthz": "forwardAuth",
        "http.middlewares.extauthz.forwardAuth": "address trustForwardHeader authResponseHeaders",
        "http.services.app": "loadBalancer",
        "http.services.app.loadBalancer": "servers",
        "http.services.app.loadBalancer.servers[]": "url",
    },
}
FREE = ("metadata", "data", "matchLabels", "customRequestHeaders", "routers", "middlewares", "services")
"""Mappings whose keys are names that we chose."""


def mappings(value: object, path: str = "") -> Iterator[tuple[str, Document]]:
    """Every mapping in a document, with the keys that lead there."""
    if isinstance(value, dict):
        if path.rpartition(".")[2] not in FREE:
            yield path, value
        for key, inner in value.items():
            yield from mappings(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from mappings(inner, f"{path}[]")


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_one_that_the_api_has(name: str) -> None:
    """What a controller does not know, it ignores: a misspelt failOpen is no failOpen."""
    for document in documents(name):
        for path, mapping in mappings(document):
            if path.startswith("metadata"):
                continue
            assert mapping.keys() <= set(KEYS[name][path].split()), path


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        (
            "istio.yaml",
            {"IstioOperator": "install.istio.io/v1alpha1", "AuthorizationPolicy": "security.istio.io/v1"},
        ),
        (
            "envoy-gateway.yaml",
            {
                "SecurityPolicy": "gateway.envoyproxy.io/v1alpha1",
                "ReferenceGrant": "gateway.networking.k8s.io/v1beta1",
                "ClientTrafficPolicy": "gateway.envoyproxy.io/v1alpha1",
            },
        ),
        (
            "contour.yaml",
            {"ExtensionService": "projectcontour.io/v1alpha1", "HTTPProxy": "projectcontour.io/v1"},
        ),
        ("ingress-nginx.yaml", {"ConfigMap": "v1", "Ingress": "networking.k8s.io/v1"}),
    ],
)
def test_every_object_has_its_version_a_name_and_a_namespace(name: str, kinds: dict[str, str]) -> None:
    """Applied as it is, each object lands where the others look for it."""
    assert {document["kind"]: document["apiVersion"] for document in documents(name)} == kinds
    assert all(document["metadata"].keys() >= {"name", "namespace"} for document in documents(name))


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("envoy-http-service.yaml", "envoy"),
        ("istio.yaml", "envoy"),
        ("ingress-nginx.yaml", "nginx"),
        ("traefik.yaml", "forward-auth"),
        ("Caddyfile", "forward-auth"),
    ],
)
def test_a_file_says_which_dialect_to_switch_on(name: str, dialect: str) -> None:
    """Without it, extauthz answers 404 and nothing passes."""
    assert re.search(rf"(?m)^\s*#.*dialects: \[{dialect}\]", (GATEWAY / name).read_text())
    assert dialect in get_args(Dialect)


def test_every_file_has_a_page_and_every_page_its_file() -> None:
    """Whoever finds the one finds the other."""
    pages = {page.stem: page.read_text() for page in PAGES.glob("*.md")}
    for file in GATEWAY.iterdir():
        assert any(f"(../../gateway/{file.name})" in text for text in pages.values()), file.name
    for name, text in pages.items():
        links = re.findall(r"\]\(\.\./\.\./(gateway/[\w.-]+)\)", text)
        assert links or name in ("gateway-api", "differences"), name
        assert all((ROOT / link).is_file() for link in links), name


def test_the_pages_name_dialects_that_there_are() -> None:
    """A line to copy is a line that works."""
    for page in PAGES.glob("*.md"):
        for words in re.findall(r"dialects: \[([^\]]*)\]", page.read_text()):
            assert set(filter(None, words.split(", "))) <= set(get_args(Dialect)), page.name
