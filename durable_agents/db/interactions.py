"""Interactions: messages that were routed, and their replies."""

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from durable_agents.db.flow_tables import Interaction
from durable_agents.db.tables import Message
from durable_agents.models.errors import NotFoundError
from durable_agents.models.route import InteractionRecord


async def save(connection: AsyncConnection, *, run_id: str, interaction: InteractionRecord) -> None:
    """Save an interaction, in place of what the run saved before.

    Raises:
        NotFoundError: The message or the reply is not there.
    """
    said, replied = aliased(Message), aliased(Message)
    values = {
        "run_id": literal(run_id),
        "user_id": literal(interaction.user_id),
        "message": said.content,
        "intent": literal(interaction.intent),
        "confidence": literal(interaction.confidence),
        "agent": literal(interaction.agent),
        "reply": replied.content,
    }
    rows = (
        select(*values.values())
        .select_from(said)
        .join(replied, replied.message_id == interaction.reply)
        .where(said.message_id == interaction.message)
    )
    statement = insert(Interaction).from_select(list(values), rows)
    saved = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[Interaction.run_id],
            set_={name: statement.excluded[name] for name in values if name != "run_id"},
        )
    )
    if saved.rowcount == 0:
        raise NotFoundError(
            f"Message {interaction.message} or its reply {interaction.reply} is not there; "
            "the thread was deleted."
        )
