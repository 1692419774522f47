"""Touches the interactions: messages that were routed, and their replies."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.db import interactions
from durable_agents.db.engine import Database
from durable_agents.models.route import InteractionRecord


class InteractionActivities:
    """A mutation that closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="save_interaction")
    async def save_interaction(self, interaction: InteractionRecord) -> None:
        """Save an interaction, one for each run.

        Raises:
            NotFoundError: The message or the reply is not there.
        """
        async with self._database.statement() as connection:
            await interactions.save(connection, run_id=step_of().run_id, interaction=interaction)
