"""Drafts: texts that steps hand on by reference."""

from collections.abc import Sequence

from sqlalchemy import Select, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Draft
from durable_agents.db.tables import Message
from durable_agents.db.threads import Step
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError

BODY = "body"
"""The kind of a draft that an address of the web answered; others are named for their agent."""


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


async def find_draft(connection: AsyncConnection, step: Step) -> DraftRecord | None:
    """What an earlier delivery of a step wrote; None when there was none."""
    return await _one(
        connection, select(Draft).where(Draft.run_id == step.run_id, Draft.step == step.step)
    )


async def get_draft(
    connection: AsyncConnection, draft_id: int, *, kind: str | None = None
) -> DraftRecord:
    """Read a draft; if a kind is named, only one of that kind.

    Raises:
        NotFoundError: There is none of this id and kind.
    """
    query = select(Draft).where(Draft.draft_id == draft_id)
    if kind is not None:
        query = query.where(Draft.kind == kind)
    draft = await _one(connection, query)
    if draft is None:
        raise NotFoundError(f"There is no draft {draft_id}. Start the run again.")
    return draft


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


async def _one(connection: AsyncConnection, query: Select[Draft]) -> DraftRecord | None:
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else DraftRecord.model_validate(dict(row))
