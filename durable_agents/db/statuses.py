"""The table `workflow_status`: where runs are, kept by the runs themselves."""

from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.tables import WorkflowStatus
from durable_agents.models.base import Record
from durable_agents.models.tracked import RowStatus, StatusRow


class StatusRecord(Record):
    """One run's row as the database holds it."""

    run_id: str
    workflow_id: str
    workflow_type: str
    status: RowStatus
    step: str
    error: str
    started_at: datetime
    updated_at: datetime


async def save(
    connection: AsyncConnection,
    *,
    run_id: str,
    workflow_id: str,
    workflow_type: str,
    row: StatusRow,
) -> None:
    """Write a run's row, or change it.

    What has ended stays so: a write of `running` that comes late changes nothing.
    """
    values = row.model_dump()
    statement = insert(WorkflowStatus).values(
        run_id=run_id, workflow_id=workflow_id, workflow_type=workflow_type, **values
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[WorkflowStatus.run_id],
            set_={**values, "updated_at": func.now()},
            where=or_(WorkflowStatus.status == "running", statement.excluded.status != "running"),
        )
    )


async def latest(connection: AsyncConnection, workflow_id: str) -> StatusRecord | None:
    """The row of the newest run of a workflow; None when it keeps none."""
    rows = await _rows(
        connection,
        select(WorkflowStatus)
        .where(WorkflowStatus.workflow_id == workflow_id)
        .order_by(WorkflowStatus.started_at.desc(), WorkflowStatus.run_id)
        .limit(1),
    )
    return rows[0] if rows else None


async def list_rows(
    connection: AsyncConnection, *, limit: int = 50, status: RowStatus | None = None
) -> list[StatusRecord]:
    """The rows of the runs that started last, newest first; of one status if it is named."""
    query = select(WorkflowStatus).order_by(WorkflowStatus.started_at.desc()).limit(limit)
    if status is not None:
        query = query.where(WorkflowStatus.status == status)
    return await _rows(connection, query)


async def open_rows(
    connection: AsyncConnection, *, older_than: timedelta, limit: int = 500
) -> list[StatusRecord]:
    """Rows that say running and have not changed for a while, oldest first.

    For a reconciler, which asks Temporal about each. The time is that of the database's clock.
    """
    return await _rows(
        connection,
        select(WorkflowStatus)
        .where(
            WorkflowStatus.status == "running",
            WorkflowStatus.updated_at <= func.now() - older_than,
        )
        .order_by(WorkflowStatus.updated_at)
        .limit(limit),
    )


async def touch(connection: AsyncConnection, *, run_id: str) -> None:
    """Put a row that was looked at, and whose run goes on, behind those still to be looked at."""
    await connection.execute(
        update(WorkflowStatus)
        .where(WorkflowStatus.run_id == run_id, WorkflowStatus.status == "running")
        .values(updated_at=func.now())
    )


async def close(
    connection: AsyncConnection, *, run_id: str, status: RowStatus, error: str = ""
) -> bool:
    """End the row of a run that could not do so itself.

    Returns:
        Whether the row was still running; another is left as it is.
    """
    closed = await connection.execute(
        update(WorkflowStatus)
        .where(WorkflowStatus.run_id == run_id, WorkflowStatus.status == "running")
        .values(status=status, error=error, updated_at=func.now())
    )
    return closed.rowcount == 1


async def _rows(connection: AsyncConnection, query: Select[WorkflowStatus]) -> list[StatusRecord]:
    found = (await connection.execute(query)).mappings()
    return [StatusRecord.model_validate(dict(row)) for row in found]
