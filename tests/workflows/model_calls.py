"""The rows of usage that runs leave."""

from typing import Any

from sqlalchemy import text
from temporalio.client import WorkflowHandle

from durable_agents.db.engine import Database


async def calls_of(
    database: Database, handle: WorkflowHandle[Any, Any]
) -> list[tuple[str, str, str, str]]:
    """The rows of usage of a run: step, agent, model, outcome."""
    query = text(
        "SELECT step, agent, model, outcome FROM llm_calls WHERE workflow_id = :id"
        " ORDER BY llm_call_id"
    )
    async with database.statement() as connection:
        rows = await connection.execute(query, {"id": handle.id})
        return [(row.step, row.agent, row.model, row.outcome) for row in rows]
