"""The reports of research. What they come of are drafts."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Report


async def save_report(
    connection: AsyncConnection,
    *,
    run_id: str,
    user_id: str,
    query: str,
    report: str,
    confidence: float,
    rounds: int,
) -> None:
    """Keep the report of a run, in place of what the run saved before."""
    values = {"report": report, "confidence": confidence, "rounds": rounds}
    statement = insert(Report).values(run_id=run_id, user_id=user_id, query=query, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[Report.run_id], set_=values)
    )
