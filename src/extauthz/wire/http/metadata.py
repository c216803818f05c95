"""What a gateway says about a request, read out of the headers of its question.

A dialect names the headers that it reads, and reads no others. Any other spelling that some server takes for one of
them, or for an identity header (`X_Forwarded_Uri`, `X.Auth.Sub`), was written by a client that wants to be mistaken
for the gateway: it is never read, and the request is refused.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from extauthz.core.decision import Reason
from extauthz.core.identity import twins
from extauthz.core.preflight import ORIGIN, REQUEST_METHOD, announced_method
from extauthz.core.request import AuthRequest
from extauthz.core.trace import TRACEPARENT

AUTHORIZATION = b"authorization"
REQUEST_ID = b"x-request-id"
FORWARDED_FOR = b"x-forwarded-for"
"""The only metadata that is a list: gateways append to it, some of them in a line of their own."""

_ORIGIN, _REQUEST_METHOD = ORIGIN.encode(), REQUEST_METHOD.encode()
_TRACEPARENT = TRACEPARENT.encode()
_OWN = {name: name for name in (_ORIGIN, _REQUEST_METHOD, _TRACEPARENT)}
"""Headers of the client's own: two make a CORS preflight of its request, one says which trace it belongs to."""

_IMITATION = b""

Headers = tuple[tuple[bytes, bytes], ...]
Answer = tuple[int, Headers, bytes]
"""Status, headers and body."""

Vocabulary = Mapping[bytes, bytes]
"""What a header name means to a dialect: the metadata of that name, or an imitation; others are not in it."""


def vocabulary(metadata: Iterable[bytes], identity: Iterable[str] = ()) -> Vocabulary:
    """The names that a dialect reads, `Authorization` and `X-Request-Id` among them, and the names that imitate.

    An identity header itself is no imitation: every client may send one, and the gateway replaces it.
    """
    read = {name: name for name in (AUTHORIZATION, REQUEST_ID, *metadata)}
    guarded = {*identity}
    names = (*(name.decode() for name in read), *guarded)
    imitations = {twin.encode() for name in names for twin in twins(name) if twin not in guarded}
    return _OWN | dict.fromkeys(imitations, _IMITATION) | read


class Said(NamedTuple):
    """What stood in the headers.

    Attributes:
        values: each piece of metadata that was there, by its header name.
        authorization: every value of `Authorization`, in order.
        flaw: why the metadata cannot be believed.
        own: the values of each header that is the client's own, by its name.
    """

    values: dict[bytes, str]
    authorization: tuple[str, ...]
    flaw: Reason | None
    own: Mapping[bytes, list[str]] = {}


def collect(headers: Iterable[tuple[bytes, bytes]], known: Vocabulary) -> Said:
    """Read the headers once. Metadata that stands twice is a flaw: one of the two is not the gateway's.

    Of `X-Forwarded-For` the last line is kept, which is the gateway's.
    """
    values: dict[bytes, str] = {}
    authorization: list[str] = []
    flaw: Reason | None = None
    own: dict[bytes, list[str]] = {}
    for name, value in headers:
        meaning = known.get(name)
        if meaning is None:
            continue
        if meaning == AUTHORIZATION:
            authorization.append(value.decode("latin-1"))
        elif meaning in _OWN:
            own.setdefault(meaning, []).append(value.decode("latin-1"))
        elif meaning == _IMITATION or (meaning in values and meaning != FORWARDED_FOR):
            flaw = Reason.BAD_METADATA
        else:
            values[meaning] = value.decode("latin-1")
    return Said(values, tuple(authorization), flaw, own)


def question(
    door: str, said: Said, *, method: str | None, target: str | None, host: str = "", source: str = ""
) -> AuthRequest:
    """The question in our words.

    A method or target that is missing (None) is the gateway's fault; one that is there but empty, and a method that
    was merged from two lines, is somebody else's.
    """
    flaw = said.flaw
    if method is None or target is None:
        flaw = Reason.MISCONFIGURED_GATEWAY
    elif not method or not target or "," in method:
        flaw = Reason.BAD_METADATA
    return AuthRequest(
        door=door,
        method=method or "",
        target=target or "",
        host=host,
        authorization=said.authorization,
        request_id=said.values.get(REQUEST_ID, ""),
        source=source,
        flaw=flaw,
        preflight=_announced(method, said.own) if said.own else "",
        trace=",".join(said.own[_TRACEPARENT]) if _TRACEPARENT in said.own else "",
    )


def _announced(method: str | None, said: Mapping[bytes, list[str]]) -> str:
    return announced_method(method or "", said.get(_ORIGIN, []), said.get(_REQUEST_METHOD, []))
