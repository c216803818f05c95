"""The dialect of NGINX Gateway Fabric: `ExternalAuth` of the Gateway API, made with `auth_request`.

In: `Path` (raw, with the query), `Method` and `Host`, written by the gateway, and `Authorization`.
Out: as for NGINX, for it is NGINX that reads the answer.
"""

from collections.abc import Iterable

from extauthz.core.request import AuthRequest
from extauthz.wire.http.metadata import Vocabulary, collect, question, vocabulary
from extauthz.wire.http.nginx import encode

__all__ = ["DOOR", "METADATA", "PATH", "decode", "encode"]

DOOR = "gateway-api"
PATH = b"/gateway-api"

_METHOD = b"method"
_PATH = b"path"
_HOST = b"host"
METADATA = (_METHOD, _PATH, _HOST)

_VOCABULARY = vocabulary(METADATA)


def decode(headers: Iterable[tuple[bytes, bytes]], known: Vocabulary = _VOCABULARY) -> AuthRequest:
    """Read the question."""
    said = collect(headers, known)
    values = said.values
    return question(DOOR, said, method=values.get(_METHOD), target=values.get(_PATH), host=values.get(_HOST, ""))
