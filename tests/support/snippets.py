"""The files in gateway/ as documents, and what they must have in common with extauthz."""

from pathlib import Path
from typing import Any

import yaml

from extauthz.config.policy_schema import PolicyFile
from extauthz.core.identity import FAILURE_MODE_HEADER

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "gateway"
EXAMPLE: dict[str, Any] = yaml.safe_load((ROOT / "examples/extauthz.yaml").read_text())
IDENTITY = set(
    PolicyFile.model_validate(yaml.safe_load((ROOT / "examples/policy.yaml").read_text())).defaults.identity_headers
)
"""The identity headers of the example, which all files are written for."""

PORT = 9191
HOST = "extauthz.extauthz.svc.cluster.local"
NOT_FOR_CLIENTS = IDENTITY | {FAILURE_MODE_HEADER}
OTHER_REQUESTS = {
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
}
"""Headers by which applications let a client choose another method or path than the one that was judged."""

FOR_CLIENTS = {
    "www-authenticate",
    "access-control-expose-headers",
    "content-type",
    "cache-control",
    "x-authz-reason",
}
"""What a client needs of a denial."""

Document = dict[str, Any]


def documents(name: str) -> list[Document]:
    """All documents of a file."""
    return list(yaml.safe_load_all((GATEWAY / name).read_text()))


def of_kind(name: str, kind: str) -> Document:
    """The one object of a kind in a file for Kubernetes."""
    (found,) = (document for document in documents(name) if document["kind"] == kind)
    return found


def lower(names: object) -> set[str]:
    """Header names as they are compared."""
    assert isinstance(names, list | dict)
    return {str(name).lower() for name in names}
