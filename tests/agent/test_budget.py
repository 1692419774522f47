"""What a run may spend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agents.agent.budget import Allowance, Budget
from durable_agents.models.errors import BudgetExceededError
from durable_agents.models.status import Usage


def used(tokens: int = 0, cost: float = 0.0, calls: int = 1) -> Usage:
    return Usage(input_tokens=tokens, cost_usd=cost, calls=calls)


def test_without_bounds_anything_goes() -> None:
    budget = Budget()

    budget.settle(budget.reserve(), used(10**9, 10**6))

    assert budget.reserve() == Allowance(max_tokens=0, max_cost_usd=0)


def test_what_a_call_left_is_given_back() -> None:
    budget = Budget(max_tokens=1000, max_cost_usd=1)

    budget.settle(budget.reserve(), used(300, 0.25))

    assert budget.reserve() == Allowance(max_tokens=700, max_cost_usd=0.75)


def test_a_call_that_failed_gives_everything_back() -> None:
    budget = Budget(max_tokens=1000, max_calls=1)

    budget.settle(budget.reserve(), Usage())

    assert budget.reserve().max_tokens == 1000


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget(max_tokens=100, spent=used(100)), "max_tokens"),
        (Budget(max_tokens=100, spent=used(250)), "max_tokens"),
        (Budget(max_cost_usd=1, spent=used(0, 1.0)), "max_cost_usd"),
        (Budget(max_calls=3, spent=used(calls=3)), "max_calls"),
    ],
)
def test_a_budget_that_is_used_up_says_what_to_raise(budget: Budget, word: str) -> None:
    with pytest.raises(BudgetExceededError, match=f"Raise {word}"):
        budget.reserve()


def test_what_is_kept_for_later_is_out_of_reach_until_then() -> None:
    budget = Budget(max_tokens=1000, max_cost_usd=1, max_calls=5, spent=used(500, 0.5, calls=1))

    with budget.keeping(0.2):
        allowance = budget.reserve()
        with pytest.raises(BudgetExceededError, match="Raise max_tokens"):
            budget.reserve()
        budget.settle(allowance, used(400, 0.4, calls=3))

    assert allowance == Allowance(max_tokens=400, max_cost_usd=0.4, max_calls=3)
    after = budget.reserve()
    assert (after.max_tokens, after.max_calls) == (100, 1)
    assert after.max_cost_usd == pytest.approx(0.1)


def test_without_bounds_nothing_is_kept_and_the_last_call_is_not() -> None:
    for budget, left in ((Budget(), 0), (Budget(max_calls=1), 1)):
        with budget.keeping(0.2):
            assert budget.reserve() == Allowance(max_calls=left)


def test_nothing_can_be_kept_of_a_budget_that_is_used_up() -> None:
    budget = Budget(max_calls=1, spent=used())

    with pytest.raises(BudgetExceededError, match="Raise max_calls"), budget.keeping(0.2):
        pass


def test_calls_side_by_side_cannot_overshoot_together() -> None:
    budget = Budget(max_tokens=1000)
    first = budget.reserve()

    with pytest.raises(BudgetExceededError):
        budget.reserve()
    budget.settle(first, used(400))

    assert budget.reserve().max_tokens == 600


def test_a_call_at_work_counts_among_the_calls() -> None:
    budget = Budget(max_calls=3)
    first = budget.reserve()

    with pytest.raises(BudgetExceededError):
        budget.reserve()
    budget.settle(first, used(calls=2))

    assert (first.max_calls, budget.reserve().max_calls) == (3, 1)


def test_a_refused_reservation_reserves_nothing() -> None:
    budget = Budget(max_tokens=100, max_cost_usd=1, spent=used(0, 1.0))

    for _ in range(2):
        with pytest.raises(BudgetExceededError, match="max_cost_usd"):
            budget.reserve()


@given(bound=st.integers(1, 10_000), wishes=st.lists(st.integers(0, 5_000), max_size=20))
def test_calls_that_keep_to_their_allowance_never_overshoot(bound: int, wishes: list[int]) -> None:
    budget = Budget(max_tokens=bound)

    for wish in wishes:
        try:
            allowance = budget.reserve()
        except BudgetExceededError:
            break
        budget.settle(allowance, used(min(wish, allowance.max_tokens)))

    assert budget.spent.input_tokens <= bound


def test_alone_a_call_gets_all_that_is_left() -> None:
    budget = Budget(max_tokens=100, max_cost_usd=1)

    allowance = budget.reserve()

    assert (allowance.max_tokens, allowance.max_cost_usd) == (100, 1)
    with pytest.raises(BudgetExceededError):
        budget.reserve()


def test_those_at_work_side_by_side_get_equal_parts() -> None:
    budget = Budget(max_tokens=100, max_cost_usd=1)

    with budget.shared(), budget.shared(), budget.shared(), budget.shared():
        parts = [budget.reserve() for _ in range(4)]

    assert [part.max_tokens for part in parts] == [25, 25, 25, 25]
    assert [round(part.max_cost_usd, 9) for part in parts] == [0.25] * 4


def test_what_one_leaves_is_there_for_the_others() -> None:
    budget = Budget(max_tokens=100)

    with budget.shared():
        with budget.shared():
            first = budget.reserve()
            budget.settle(first, Usage(input_tokens=10))

        rest = budget.reserve()

    assert (first.max_tokens, rest.max_tokens) == (50, 90)


def test_a_part_is_never_so_small_that_it_means_no_bound() -> None:
    budget = Budget(max_tokens=1)

    with budget.shared(), budget.shared():
        assert budget.reserve().max_tokens == 1
        with pytest.raises(BudgetExceededError):
            budget.reserve()


def test_no_bound_stays_no_bound_when_it_is_shared() -> None:
    budget = Budget()

    with budget.shared(), budget.shared():
        allowance = budget.reserve()

    assert (allowance.max_tokens, allowance.max_cost_usd) == (0, 0)
