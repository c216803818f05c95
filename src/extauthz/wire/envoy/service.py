"""The two gRPC services as functions from message bytes to message bytes; the servers add only framing."""

from google.protobuf.message import DecodeError

from extauthz._gen.extauthz_health_pb2 import HealthCheckRequest, HealthCheckResponse
from extauthz.authorizer import Authorizer
from extauthz.core.decision import Deny, Reason
from extauthz.wire.envoy.decode import decode
from extauthz.wire.envoy.encode import encode
from extauthz.wire.readiness import Readiness

AUTHORIZATION = "envoy.service.auth.v3.Authorization"
HEALTH = "grpc.health.v1.Health"
CHECK_PATH = f"/{AUTHORIZATION}/Check"
HEALTH_PATH = f"/{HEALTH}/Check"

MAX_MESSAGE_BYTES = 256 * 1024
"""A CheckRequest without a body is a few KiB; Envoy itself refuses heads above 60 KiB."""

_DENY_INTERNAL = encode(Deny(reason=Reason.INTERNAL))


class CheckService:
    """Answers every CheckRequest with a CheckResponse; a gRPC error would leave the verdict to Envoy's failure mode."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, message: bytes) -> bytes:
        """Check one request."""
        try:
            return encode(await self._authorizer.check(decode(message)))
        except Exception:  # noqa: BLE001 - the authorizer does not raise, so this is the codec: deny all the same
            return _DENY_INTERNAL


class HealthService:
    """`grpc.health.v1.Health/Check` for the whole server and for the authorization service."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def __call__(self, message: bytes) -> bytes | None:
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
