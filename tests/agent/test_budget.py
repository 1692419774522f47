"""A budget, alone and shared."""

import pytest

from durable_agents.agent.budget import Budget
from durable_agents.models.errors import BudgetExceededError
from durable_agents.models.status import Usage


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
