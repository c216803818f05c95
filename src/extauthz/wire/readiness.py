"""Whether this process wants work: told by gRPC health, `/readyz` and the drain alike."""


class Readiness:
    """Starts not ready, becomes ready once, and drains once before the end.

    Trouble at an authorization server does not change it: then all replicas would leave at the same time,
    although each can still answer from its cache and say 503 with a reason.
    """

    def __init__(self) -> None:
        self.serving = False

    def start(self) -> None:
        """The policy is loaded and the listeners are open."""
        self.serving = True

    def drain(self) -> None:
        """Ask gateways to go elsewhere; requests that still come are answered."""
        self.serving = False
