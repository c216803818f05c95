"""How often questions may be repeated: a small share, so that an outage is not answered with twice the load."""

from collections.abc import Callable


class RetryBudget:
    """Every question pays in, every repetition costs as much as `questions_per_retry` of them have paid.

    No more than `reserve` repetitions are saved up. So among any n questions in a row there are never more than
    `reserve + n / questions_per_retry` repetitions. `on_spent` is called when a repetition is refused, once until the
    reserve has been full again.
    """

    def __init__(
        self, *, questions_per_retry: int = 10, reserve: int = 10, on_spent: Callable[[], None] = lambda: None
    ) -> None:
        self._price = questions_per_retry
        self._full = reserve * questions_per_retry
        self._left = self._full
        self._on_spent = on_spent
        self._spent = False

    def pay_in(self) -> None:
        """A question is asked for the first time."""
        self._left = min(self._full, self._left + 1)
        self._spent = self._spent and self._left < self._full

    def take(self) -> bool:
        """Whether a repetition is allowed; if so, it is paid for."""
        if self._left >= self._price:
            self._left -= self._price
            return True
        if not self._spent:
            self._spent = True
            self._on_spent()
        return False
