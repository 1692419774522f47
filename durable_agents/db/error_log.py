"""The table `errors`: what flows met and recorded."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import tables
from durable_agents.models.base import Record
from durable_agents.models.conversation import LoggedError


class ErrorRecord(Record):
    """An error as the database holds it."""

    workflow_id: str
    run_id: str
    step: str
    type: str
    message: str
    created_at: datetime


async def log_error(
    connection: AsyncConnection, *, workflow_id: str, run_id: str, step: str, error: LoggedError
) -> None:
    """Keep an error, one for each step of a run; a second delivery changes nothing else."""
    values = {"type": error.type, "message": error.message}
    await connection.execute(
        insert(tables.LoggedError)
        .values(workflow_id=workflow_id, run_id=run_id, step=step, **values)
        .on_conflict_do_update(index_elements=["run_id", "step"], set_=values)
    )


async def list_errors(
    connection: AsyncConnection, *, workflow_id: str | None = None, limit: int = 50
) -> list[ErrorRecord]:
    """The latest errors, newest first; those of one workflow if it is named."""
    query = select(tables.LoggedError).order_by(tables.LoggedError.error_id.desc()).limit(limit)
    if workflow_id is not None:
        query = query.where(tables.LoggedError.workflow_id == workflow_id)
    found = (await connection.execute(query)).mappings()
    return [ErrorRecord.model_validate(dict(row)) for row in found]
