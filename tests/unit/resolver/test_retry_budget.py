"""Repetitions stay a small share of the questions."""

from extauthz.resolver.retry_budget import RetryBudget


def taken(budget: RetryBudget, times: int) -> int:
    """How many of so many repetitions are allowed."""
    return sum(budget.take() for _ in range(times))


def test_the_reserve_is_there_from_the_start() -> None:
    """The first questions after a start may be repeated."""
    assert taken(RetryBudget(reserve=10), 100) == 10


def test_ten_questions_earn_one_repetition() -> None:
    """Not one earlier."""
    budget = RetryBudget(questions_per_retry=10, reserve=1)
    assert budget.take()
    for _ in range(9):
        budget.pay_in()
    assert not budget.take()
    budget.pay_in()
    assert budget.take()


def test_no_more_than_the_reserve_is_saved_up() -> None:
    """A quiet night does not pay for a storm."""
    budget = RetryBudget(questions_per_retry=10, reserve=3)
    for _ in range(1000):
        budget.pay_in()
    assert taken(budget, 100) == 3


def test_that_it_is_spent_is_told_once_until_the_reserve_has_been_full_again() -> None:
    """One line for an outage, although a tenth of the repetitions is still allowed."""
    told: list[str] = []
    budget = RetryBudget(questions_per_retry=2, reserve=2, on_spent=lambda: told.append("spent"))
    for _ in range(50):
        budget.pay_in()
        budget.take()
    assert told == ["spent"]
    for _ in range(4):
        budget.pay_in()
    assert taken(budget, 3) == 2
    assert told == ["spent", "spent"]
