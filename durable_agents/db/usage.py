"""What model calls used and cost, one row an attempt, also for one that failed midway."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.models.status import Usage


@dataclass(frozen=True)
class CallRecord:
    """One attempt at a model call. `outcome` is `ok` or the name of the error."""

    workflow_id: str
    run_id: str
    step: str
    attempt: int
    agent: str
    model: str
    user_id: str
    outcome: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: int


_RECORD = text(
    """
    INSERT INTO llm_calls (workflow_id, run_id, step, attempt, agent, model, user_id, outcome,
                           input_tokens, output_tokens, cost_usd, latency_ms)
    VALUES (:workflow_id, :run_id, :step, :attempt, :agent, :model, :user_id, :outcome,
            :input_tokens, :output_tokens, :cost_usd, :latency_ms)
    """
)
_TOTAL = text(
    """
    SELECT COALESCE(sum(input_tokens), 0), COALESCE(sum(output_tokens), 0),
           COALESCE(sum(cost_usd), 0), count(*)
    FROM llm_calls WHERE workflow_id = :workflow_id
    """
)


async def record_call(connection: AsyncConnection, record: CallRecord) -> None:
    """Add the row of one attempt."""
    await connection.execute(_RECORD, vars(record))


async def usage_of(connection: AsyncConnection, workflow_id: str) -> Usage:
    """What all attempts of a workflow used, failed ones as well."""
    row = (await connection.execute(_TOTAL, {"workflow_id": workflow_id})).one()
    return Usage(
        input_tokens=int(row[0]),
        output_tokens=int(row[1]),
        cost_usd=float(row[2]),
        calls=int(row[3]),
    )
