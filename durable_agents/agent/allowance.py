"""What is left of an allowance, and how long an answer may be within it."""

from durable_agents.agent.budget import UNBOUNDED, Allowance
from durable_agents.agent.context import estimate_tokens
from durable_agents.agent.prices import Prices
from durable_agents.clients.model import ChatRequest
from durable_agents.models.errors import BudgetExceededError, ConfigurationError
from durable_agents.models.status import Usage

MIN_OUTPUT_TOKENS = 16


def left_of(allowance: Allowance, spent: Usage) -> Allowance:
    """What is left of an allowance.

    Raises:
        BudgetExceededError: It is used up.
    """
    used = spent.input_tokens + spent.output_tokens
    left = Allowance(
        max_tokens=allowance.max_tokens - used if allowance.max_tokens else UNBOUNDED,
        max_cost_usd=(
            allowance.max_cost_usd - spent.cost_usd if allowance.max_cost_usd else UNBOUNDED
        ),
        max_calls=allowance.max_calls - spent.calls if allowance.max_calls else UNBOUNDED,
    )
    for name, amount in vars(allowance).items():
        if amount and getattr(left, name) <= 0:
            raise BudgetExceededError(
                f"What was left of {name} is used up by the tries of this step. "
                f"Raise {name} to go further."
            )
    return left


def output_limit(allowance: Allowance, limit: int, asked: int, model: str, prices: Prices) -> int:
    """How many tokens an answer may have.

    Args:
        allowance: What is left for the call.
        limit: The agent's own limit.
        asked: About how many tokens go in.
        model: Which model is asked.
        prices: What its tokens cost.

    Raises:
        BudgetExceededError: What is left does not suffice for an answer.
        ConfigurationError: There is a budget in US dollars, but no price.
    """
    if allowance.max_tokens:
        limit = min(limit, allowance.max_tokens - asked)
    if allowance.max_cost_usd:
        price = prices.of(model)
        if price is None:
            raise ConfigurationError(
                f"A budget in US dollars needs the price of {model}. "
                f"Set MODEL_PRICES={model}=INPUT/OUTPUT (US dollars for a million tokens)."
            )
        left = allowance.max_cost_usd - asked * price[0] / 1_000_000
        if price[1]:
            limit = min(limit, int(left / price[1] * 1_000_000))
    if limit < MIN_OUTPUT_TOKENS:
        raise BudgetExceededError(
            "What is left of the budget does not suffice for another model call "
            f"(about {asked} tokens go in). Raise max_tokens or max_cost_usd to go further."
        )
    return limit


def going_in(request: ChatRequest) -> int:
    """About how many tokens go in."""
    given = (*request.tools, request.response_format or "")
    return estimate_tokens(request.messages, sum(len(str(schema)) for schema in given))
