"""The two gRPC services as functions from message bytes to message bytes; the servers add only framing."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from extauthz._gen.extauthz_health_pb2 import HealthCheckRequest, HealthCheckResponse
from extauthz.authorizer import Authorizer
from extauthz.core.decision import Deny, Reason
from extauthz.observe.events import Checked
from extauthz.wire.asgi import others_first
from extauthz.wire.envoy.decode import decode
from extauthz.wire.envoy.encode import encode, metadata
from extauthz.wire.readiness import Readiness

AUTHORIZATION = "envoy.service.auth.v3.Authorization"
HEALTH = "grpc.health.v1.Health"
CHECK_PATH = f"/{AUTHORIZATION}/Check"
HEALTH_PATH = f"/{HEALTH}/Check"

MAX_MESSAGE_BYTES = 256 * 1024
"""A CheckRequest without a body is a few KiB; Envoy itself refuses heads above 60 KiB."""

MARGIN_SECONDS = 0.01
"""We answer this long before the caller's deadline, or a tenth of it: an answer that comes late is no answer."""

_DENY_INTERNAL = encode(Deny(reason=Reason.INTERNAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an operator can choose about this door.

    Attributes:
        outage_is_error: an outage is the gateway's to decide (`on_outage: gateway`).
        read_extensions: `required_scope` of the route adds scopes.
        read_source: the client's address is read, for whoever counts by it.
        metadata: answers carry `dynamic_metadata` for the access log.
    """

    outage_is_error: bool = False
    read_extensions: bool = False
    read_source: bool = False
    metadata: bool = True


def answer(event: Checked, options: Options) -> bytes:
    """The CheckResponse for a decision; `policy explain` shows what this says."""
    message = encode(event.decision, outage_is_error=options.outage_is_error)
    return message + metadata(event) if options.metadata else message


class CheckService:
    """Answers every CheckRequest with a CheckResponse; a gRPC error would leave the verdict to Envoy's failure mode."""

    def __init__(self, authorizer: Authorizer, options: Options | None = None) -> None:
        self._authorizer = authorizer
        self._options = options or Options()

    async def __call__(self, message: bytes, deadline: float | None = None, trace: str = "") -> bytes:
        """Check one request. `deadline` is the caller's own, in seconds from now; `trace` its `traceparent`."""
        options = self._options
        patience = None if deadline is None else deadline - max(MARGIN_SECONDS, deadline / 10)
        try:
            request = decode(
                message,
                patience=patience,
                trace=trace,
                read_extensions=options.read_extensions,
                read_source=options.read_source,
            )
            await others_first()
            event = await self._authorizer.examine(request)
            return answer(event, options)
        except Exception:  # noqa: BLE001 - the authorizer does not raise, so this is the codec: deny all the same
            return _DENY_INTERNAL


class HealthService:
    """`grpc.health.v1.Health/Check` for the whole server and for the authorization service."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def __call__(self, message: bytes, _deadline: float | None = None, _trace: str = "") -> bytes | None:
        """The state of a service, or None for a name that we do not serve (gRPC NOT_FOUND)."""
        try:
            name = HealthCheckRequest.FromString(message).service
        except DecodeError:
            return None
        if name not in ("", AUTHORIZATION):
            return None
        serving = self._readiness.serving
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse(status=status).SerializeToString()
