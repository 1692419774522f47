"""Long bodies that were fetched, kept in the table of drafts."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Draft
from durable_agents.db.threads import Step
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError


class StoredBody(Record):
    """A body as the database holds it."""

    draft_id: int
    content: str


async def save_body(connection: AsyncConnection, step: Step, content: str) -> StoredBody:
    """Keep what a step fetched; a second delivery gets what the first one kept."""
    await connection.execute(
        insert(Draft)
        .values(run_id=step.run_id, step=step.step, kind="body", content=content)
        .on_conflict_do_nothing(index_elements=[Draft.run_id, Draft.step])
    )
    found = await connection.execute(
        select(Draft.draft_id, Draft.content).where(
            Draft.run_id == step.run_id, Draft.step == step.step
        )
    )
    return StoredBody.model_validate(dict(found.mappings().one()))


async def read_body(connection: AsyncConnection, draft_id: int) -> str:
    """Read a body as a whole.

    Raises:
        NotFoundError: There is none of this number.
    """
    content = await connection.scalar(
        select(Draft.content).where(Draft.draft_id == draft_id, Draft.kind == "body")
    )
    if content is None:
        raise NotFoundError(f"There is no body {draft_id} any more. Fetch the address again.")
    return content
