"""What model calls used and cost, one row an attempt, also for one that failed midway."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.threads import APPEND_SQL, NewMessage, Step, find_id, values_of
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


_RECORD_SQL = """
    INSERT INTO llm_calls (workflow_id, run_id, step, attempt, agent, model, user_id, outcome,
                           input_tokens, output_tokens, cost_usd, latency_ms)
    VALUES (:call_workflow_id, :call_run_id, :call_step, :call_attempt, :call_agent, :call_model,
            :call_user_id, :call_outcome, :call_input_tokens, :call_output_tokens, :call_cost_usd,
            :call_latency_ms)
"""
_RECORD = text(_RECORD_SQL)
_APPEND_COUNTED = text(f"WITH counted AS ({_RECORD_SQL}) {APPEND_SQL}")
_TOTAL = text(
    """
    SELECT COALESCE(sum(input_tokens), 0), COALESCE(sum(output_tokens), 0),
           COALESCE(sum(cost_usd), 0), count(*)
    FROM llm_calls WHERE run_id = :run_id AND step = :step
    """
)
_FAILURES = text(
    """
    SELECT count(DISTINCT attempt) FROM llm_calls
    WHERE run_id = :run_id AND step = :step AND outcome = 'ModelUnavailableError'
          AND llm_call_id > COALESCE((
              SELECT max(llm_call_id) FROM llm_calls
              WHERE run_id = :run_id AND step = :step AND outcome = 'ok'
          ), 0)
    """
)
_ANSWERED = text(
    """
    SELECT model FROM llm_calls WHERE run_id = :run_id AND step = :step AND outcome = 'ok'
    ORDER BY llm_call_id DESC LIMIT 1
    """
)


async def record_call(connection: AsyncConnection, record: CallRecord) -> None:
    """Add the row of one attempt."""
    await connection.execute(_RECORD, _values(record))


async def record_calls(connection: AsyncConnection, records: Sequence[CallRecord]) -> Usage:
    """Add the rows of one question; tells what its step has used so far, in all attempts."""
    for record in records:
        await record_call(connection, record)
    return await usage_of_step(connection, Step(records[-1].run_id, records[-1].step))


async def append_counted(
    connection: AsyncConnection, step: Step, message: NewMessage, *, parent: int, record: CallRecord
) -> int:
    """Store what a model said and the row of its one attempt, in one statement.

    Returns:
        The message's id; that of the first delivery when there was one.
    """
    values = {**values_of(step, message, parent), **_values(record)}
    stored = await connection.scalar(_APPEND_COUNTED, values)
    return int(stored) if stored is not None else await find_id(connection, step, message.index)


def _values(record: CallRecord) -> dict[str, object]:
    return {f"call_{name}": value for name, value in vars(record).items()}


async def model_of_step(connection: AsyncConnection, step: Step) -> str:
    """The model that answered in a step, the last one of several; empty when none did."""
    model = await connection.scalar(_ANSWERED, {"run_id": step.run_id, "step": step.step})
    return str(model or "")


async def usage_of_step(connection: AsyncConnection, step: Step) -> Usage:
    """What all attempts of a step have used so far, failed ones as well."""
    row = (await connection.execute(_TOTAL, {"run_id": step.run_id, "step": step.step})).one()
    return Usage(
        input_tokens=int(row[0]),
        output_tokens=int(row[1]),
        cost_usd=float(row[2]),
        calls=int(row[3]),
    )


async def failures_of_step(connection: AsyncConnection, step: Step) -> int:
    """In how many attempts a step has not reached its models since the last answer."""
    values = {"run_id": step.run_id, "step": step.step}
    return int(await connection.scalar(_FAILURES, values) or 0)
