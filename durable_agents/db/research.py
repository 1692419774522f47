"""What research keeps: findings and other drafts, and the report that comes of them."""

from collections.abc import Sequence

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.drafts import find_draft
from durable_agents.db.flow_tables import Draft, Report
from durable_agents.db.tables import Message
from durable_agents.db.threads import Step, storable
from durable_agents.models.errors import NotFoundError


async def keep_message(connection: AsyncConnection, step: Step, *, kind: str, message: int) -> int:
    """Make a stored message a draft, without its text passing through anyone's hands.

    Returns:
        The draft's id; a second delivery finds the first one's.

    Raises:
        NotFoundError: There is no such message.
    """
    said = select(literal(step.run_id), literal(step.step), literal(kind), Message.content).where(
        Message.message_id == message
    )
    statement = insert(Draft).from_select(["run_id", "step", "kind", "content"], said)
    await connection.execute(statement.on_conflict_do_nothing())
    found = await find_draft(connection, step)
    if found is None:
        raise NotFoundError(f"There is no message {message} to keep as a draft.")
    return found.draft_id


async def read_drafts(connection: AsyncConnection, drafts: Sequence[int]) -> list[str]:
    """The texts of some drafts, in the order in which they are named.

    Raises:
        NotFoundError: One is not there.
    """
    rows = await connection.execute(
        select(Draft.draft_id, Draft.content).where(Draft.draft_id.in_(drafts))
    )
    texts = {row.draft_id: row.content for row in rows}
    missing = [str(draft) for draft in drafts if draft not in texts]
    if missing:
        raise NotFoundError(f"There is no draft {', '.join(missing)}. Start the run again.")
    return [texts[draft] for draft in drafts]


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
    statement = insert(Report).values(
        run_id=run_id, user_id=user_id, query=storable(query), **values
    )
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[Report.run_id], set_=values)
    )
