"""Touches nothing: the two steps of `DebugWorkflow`, which are there to be watched."""

import math

from temporalio import activity

from durable_agents.models.debug import DebugResult, Total
from durable_agents.models.errors import InputError


class ArithmeticActivities:
    """Adds values up, then finds their mean."""

    @activity.defn(name="add_up")
    async def add_up(self, values: list[float]) -> Total:
        """Add values up.

        Raises:
            InputError: The total is larger than a number can be.
        """
        activity.logger.info("Adding up %d values", len(values))
        try:
            total = math.fsum(values)
        except OverflowError as error:
            raise InputError(
                "The values add up to more than a number can hold. Give smaller ones."
            ) from error
        return Total(count=len(values), total=total)

    @activity.defn(name="find_mean")
    async def find_mean(self, total: Total) -> DebugResult:
        """Divide a total by the number of its values."""
        activity.logger.info("Finding the mean of %d values", total.count)
        return DebugResult(count=total.count, total=total.total, mean=total.total / total.count)
