"""Whether this process wants work: told by gRPC health, `/readyz` and the drain alike."""

from collections.abc import Callable


class Readiness:
    """Starts not ready, becomes ready once, and drains once before the end.

    Trouble at an authorization server does not change it: then all replicas would leave at the same time,
    although each can still answer from its cache and say 503 with a reason. Before any of them could be asked at all,
    this process is of no use.

    Args:
        able: whether it can do anything yet; once it can, it always can.
    """

    def __init__(self, able: Callable[[], bool] = lambda: True) -> None:
        self._able = able
        self._wanted = False

    @property
    def serving(self) -> bool:
        """Whether gateways may send requests."""
        return self._wanted and self._able()

    @property
    def why_not(self) -> str:
        """For the operator, while it is not serving."""
        return "no authorization server is known yet: see the log" if self._wanted else "draining or not started"

    def start(self) -> None:
        """The policy is loaded and the listeners are open."""
        self._wanted = True

    def drain(self) -> None:
        """Ask gateways to go elsewhere; requests that still come are answered."""
        self._wanted = False
