"""Drafts: texts that steps hand on by reference."""

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Draft
from durable_agents.db.threads import Step
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError


class DraftRecord(Record):
    """A draft as the database holds it."""

    draft_id: int
    run_id: str
    step: str
    kind: str
    content: str


async def save_draft(connection: AsyncConnection, step: Step, *, kind: str, content: str) -> int:
    """Keep what a step wrote; a second delivery finds the first one's and changes nothing.

    Returns:
        The draft's id.
    """
    await connection.execute(
        insert(Draft)
        .values(run_id=step.run_id, step=step.step, kind=kind, content=content)
        .on_conflict_do_nothing(index_elements=["run_id", "step"])
    )
    query = select(Draft.draft_id).where(Draft.run_id == step.run_id, Draft.step == step.step)
    return int((await connection.execute(query)).scalar_one())


async def find_draft(connection: AsyncConnection, step: Step) -> DraftRecord | None:
    """What an earlier delivery of a step wrote; None when there was none."""
    return await _one(
        connection, select(Draft).where(Draft.run_id == step.run_id, Draft.step == step.step)
    )


async def get_draft(connection: AsyncConnection, draft_id: int) -> DraftRecord:
    """Read a draft.

    Raises:
        NotFoundError: There is none of this id.
    """
    draft = await _one(connection, select(Draft).where(Draft.draft_id == draft_id))
    if draft is None:
        raise NotFoundError(f"There is no draft {draft_id}. Start the run again.")
    return draft


async def _one(connection: AsyncConnection, query: Select[Draft]) -> DraftRecord | None:
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else DraftRecord.model_validate(dict(row))
