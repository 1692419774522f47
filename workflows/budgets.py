"""What a run may spend, and its model calls outside an agent's loop within that."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from durable_agents.agent.budget import Allowance, Budget
    from durable_agents.models.errors import BudgetExceededError
    from durable_agents.models.status import Usage
    from workflows.flow import Flow, is_type, raised_in, reason_of


class Bounded(Protocol):
    """The input of a run that names its budget; 0 sets no bound."""

    @property
    def max_tokens(self) -> int:
        """Input and output tokens together."""
        ...

    @property
    def max_cost_usd(self) -> float:
        """US dollars."""
        ...

    @property
    def max_calls(self) -> int:
        """Model calls."""
        ...


class Answered(Protocol):
    """What a model call brings back."""

    @property
    def usage(self) -> Usage:
        """What it used, in all its attempts."""
        ...


Answer = TypeVar("Answer", bound=Answered)


def budget_of(request: Bounded, spent: Usage | None = None) -> Budget:
    """The budget of a run; `spent` is what earlier runs of its chain have used."""
    return Budget(
        max_tokens=request.max_tokens,
        max_cost_usd=request.max_cost_usd,
        max_calls=request.max_calls,
        spent=spent,
    )


async def within(
    budget: Budget, flow: Flow, ask: Callable[[Allowance], Awaitable[Answer]]
) -> Answer:
    """Make one model call with what is left of a budget, and count what it used.

    What it used counts also where it failed in the end: answers that were no use cost as much.

    Raises:
        BudgetExceededError: Nothing is left, or too little for the call.
    """
    allowance, used = budget.reserve(), Usage()
    try:
        answer = await ask(allowance)
        used = answer.usage
    except ActivityError as error:
        used = used_in(error)
        if is_type(error, BudgetExceededError):
            raise BudgetExceededError(reason_of(error)) from error
        raise
    finally:
        budget.settle(allowance, used)
        flow.add_usage(used)
    return answer


def used_in(error: ActivityError) -> Usage:
    """What a step has used that failed for good, as far as its failure tells."""
    raised = raised_in(error)
    told = raised.details if isinstance(raised, ApplicationError) else ()
    return Usage.model_validate(told[0]) if told else Usage()
