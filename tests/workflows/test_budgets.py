"""What counts of a model call against the budget of its run."""

import pytest
from temporalio.exceptions import ActivityError, ApplicationError

from durable_agents.agent.budget import Allowance, Budget
from durable_agents.models.errors import BudgetExceededError
from durable_agents.models.status import Usage
from durable_agents.runtime.activity_interceptor import as_application_error
from durable_agents.runtime.converter import DATA_CONVERTER
from tests.failures import failed_activity
from workflows.budgets import Answered, within
from workflows.flow import Flow

PAID = Usage(input_tokens=70, output_tokens=20, cost_usd=0.5, calls=2)


def failed_for_good(usage: Usage) -> ActivityError:
    """The failure of a step as its workflow sees it."""
    error = BudgetExceededError("Too little is left.")
    error.usage = usage
    converter = DATA_CONVERTER.payload_converter
    raised = as_application_error(error)
    details = converter.from_payloads(converter.to_payloads(raised.details))
    cause = ApplicationError(raised.message, *details, type=raised.type, non_retryable=True)
    return failed_activity(cause)


@pytest.mark.parametrize("paid", [PAID, Usage()])
async def test_what_a_step_paid_for_that_failed_is_gone_from_the_budget(paid: Usage) -> None:
    budget, flow = Budget(max_tokens=100, max_calls=3), Flow()

    async def ask(_: Allowance) -> Answered:
        raise failed_for_good(paid)

    with pytest.raises(BudgetExceededError, match="Too little is left"):
        await within(budget, flow, ask)

    tokens = paid.input_tokens + paid.output_tokens
    assert budget.reserve() == Allowance(max_tokens=100 - tokens, max_calls=3 - paid.calls)
    assert flow.status().usage == paid
