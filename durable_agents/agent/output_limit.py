"""How long an answer may be within what is left of a call's allowance."""

from durable_agents.agent.budget import Allowance
from durable_agents.agent.prices import Prices
from durable_agents.models.errors import BudgetExceededError, ConfigurationError
from durable_agents.models.status import Usage

MIN_OUTPUT_TOKENS = 16


def output_limit(
    limit: int, allowance: Allowance, *, asked: int, spent: Usage, model: str, prices: Prices
) -> int:
    """How many tokens an answer may have.

    Args:
        limit: The agent's own limit.
        allowance: What the call may use with all its attempts.
        asked: About how many tokens go in.
        spent: What its attempts have used so far.
        model: Who is asked.
        prices: What tokens cost.

    Raises:
        BudgetExceededError: What is left does not suffice for an answer.
        ConfigurationError: A bound in US dollars, and no price of this model.
    """
    if allowance.max_tokens:
        used = spent.input_tokens + spent.output_tokens
        limit = min(limit, allowance.max_tokens - used - asked)
    if allowance.max_cost_usd:
        price = prices.of(model)
        if price is None:
            raise ConfigurationError(
                f"A budget in US dollars needs the price of {model}. "
                f"Set MODEL_PRICES={model}=INPUT/OUTPUT (US dollars for a million tokens)."
            )
        left = allowance.max_cost_usd - spent.cost_usd - asked * price[0] / 1_000_000
        if price[1]:
            limit = min(limit, int(left / price[1] * 1_000_000))
    if limit < MIN_OUTPUT_TOKENS:
        raise BudgetExceededError(
            "What is left of the budget does not suffice for another model call "
            f"(about {asked} tokens go in). Raise max_tokens or max_cost_usd to go further."
        )
    return limit
