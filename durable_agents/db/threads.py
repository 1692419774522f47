"""Threads and their messages.

A conversation is read backwards from its head along `parent_id`, so that a run that was reset
sees the branch it is on and not the one it left. Only the latest messages are read: a turn costs
the same whether it is the third or the three-hundredth.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.storable import storable_json
from durable_agents.models.conversation import ThreadHead
from durable_agents.models.errors import NotFoundError

WINDOW_BLOCK = 20
"""The window moves on by this many messages at a time, so that the beginning of the prompt stays
the same for a while and providers can serve it from their caches."""


@dataclass(frozen=True)
class Step:
    """Where a message comes from: a run, and the step in it (the activity's id)."""

    run_id: str
    step: str


@dataclass(frozen=True)
class StoredMessage:
    """A message as it lies in the database."""

    message_id: int
    thread_id: int
    role: str
    content: str
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    tool: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class NewMessage:
    """A message to store; `index` tells apart the messages of one step."""

    role: str
    content: str
    index: int = 0
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    tool: str | None = None
    model: str | None = None


_COLUMNS = "message_id, thread_id, role, content, tool_calls, tool_call_id, tool, model"

_OPEN = text(
    """
    WITH thread AS (
        INSERT INTO threads (user_id, agent, run_id, step)
        VALUES (:user_id, :agent, :run_id, :step)
        ON CONFLICT (run_id, step) DO NOTHING RETURNING thread_id)
    INSERT INTO messages (thread_id, position, role, content, run_id, step, index)
    SELECT thread_id, 0, 'user', :content, :run_id, :step, 0 FROM thread
    RETURNING thread_id, message_id
    """
)
_OPENED = text(
    "SELECT thread_id, message_id FROM messages"
    " WHERE run_id = :run_id AND step = :step AND index = :index"
)
_LATEST = text(
    """
    SELECT message_id FROM messages JOIN threads USING (thread_id)
    WHERE thread_id = :thread AND threads.user_id = :user_id AND position >= 0
      AND NOT EXISTS (SELECT FROM messages later WHERE later.parent_id = messages.message_id)
    ORDER BY message_id DESC LIMIT 1
    """
)
APPEND_SQL = """
    INSERT INTO messages (thread_id, parent_id, position, role, content, tool_calls,
                          tool_call_id, tool, model, run_id, step, index)
    SELECT thread_id, message_id, position + 1, :role, :content, CAST(:tool_calls AS jsonb),
           :tool_call_id, :tool, :model, :run_id, :step, :index
    FROM messages WHERE message_id = :parent
    ON CONFLICT (run_id, step, index) DO NOTHING RETURNING message_id
"""
"""Stores a message behind another; takes the `values_of` a message."""

_APPEND = text(APPEND_SQL)
_CONVERSATION = text(
    f"""
    WITH RECURSIVE chain AS (
        SELECT {_COLUMNS}, parent_id, 1 AS depth, :latest + position % :block AS bound
        FROM messages WHERE message_id = :head
        UNION ALL
        SELECT m.message_id, m.thread_id, m.role, m.content, m.tool_calls, m.tool_call_id, m.tool,
               m.model, m.parent_id, chain.depth + 1, chain.bound
        FROM messages m JOIN chain ON m.message_id = chain.parent_id
        WHERE chain.depth < chain.bound)
    SELECT {_COLUMNS}, depth FROM chain
    UNION ALL
    SELECT {_COLUMNS}, 1000000 FROM messages
    WHERE message_id = :task AND message_id NOT IN (SELECT message_id FROM chain)
    ORDER BY depth DESC
    """  # noqa: S608 - only the column list above is put in
)
_MESSAGE = text(f"SELECT {_COLUMNS} FROM messages WHERE message_id = :message")  # noqa: S608


async def open_thread(
    connection: AsyncConnection, step: Step, *, user_id: str, agent: str, content: str
) -> ThreadHead:
    """Open a thread with what the user says; a second delivery finds the first one's thread."""
    values = {"user_id": user_id, "agent": agent, "content": content}
    row = (await connection.execute(_OPEN, {**values, **key_of(step)})).one_or_none()
    if row is None:
        row = (await connection.execute(_OPENED, {**key_of(step), "index": 0})).one()
    return ThreadHead(thread=row.thread_id, head=row.message_id)


async def latest_head(connection: AsyncConnection, thread: int, user_id: str) -> int:
    """The last message of a user's thread.

    Two runs that go on with one thread at once fork it: each sees what was there when it began.

    Raises:
        NotFoundError: The user has no such thread.
    """
    head = await connection.scalar(_LATEST, {"thread": thread, "user_id": user_id})
    if head is None:
        raise NotFoundError(
            f"There is no thread {thread} of this user. Leave --thread out to open a new one."
        )
    return int(head)


async def append(
    connection: AsyncConnection, step: Step, message: NewMessage, *, parent: int
) -> int:
    """Store a message behind `parent`; a second delivery returns the first one's id."""
    stored = await append_first(connection, step, message, parent=parent)
    return stored if stored is not None else await find_id(connection, step, message.index)


async def append_first(
    connection: AsyncConnection, step: Step, message: NewMessage, *, parent: int
) -> int | None:
    """Store a message behind `parent`; None when an earlier delivery has done so."""
    stored = await connection.scalar(_APPEND, values_of(step, message, parent))
    return None if stored is None else int(stored)


def values_of(step: Step, message: NewMessage, parent: int) -> dict[str, Any]:
    """The values that `APPEND_SQL` takes."""
    return {
        "parent": parent,
        "role": message.role,
        "content": message.content,
        "tool_calls": None if message.tool_calls is None else storable_json(message.tool_calls),
        "tool_call_id": message.tool_call_id,
        "tool": message.tool,
        "model": message.model,
        "index": message.index,
        **key_of(step),
    }


async def find_id(connection: AsyncConnection, step: Step, index: int) -> int:
    """The id of the message that an earlier delivery of a step has stored.

    Raises:
        NotFoundError: It has stored none, so the message before it is missing.
    """
    found = (await connection.execute(_OPENED, {**key_of(step), "index": index})).one_or_none()
    if found is None:
        raise NotFoundError("The message to go on from is not there; the thread was deleted.")
    return int(found.message_id)


async def read_conversation(
    connection: AsyncConnection, head: int, *, latest: int, task: int = 0
) -> list[StoredMessage]:
    """Read the messages up to `head`, oldest first.

    Args:
        connection: Where to read.
        head: The last message that may be seen.
        latest: How many messages at least; up to `WINDOW_BLOCK` more are read.
        task: A message to put first when it lies further back than that.
    """
    values = {"head": head, "latest": latest, "block": WINDOW_BLOCK, "task": task}
    rows = await connection.execute(_CONVERSATION, values)
    return [StoredMessage(*row[:8]) for row in rows]


async def find_message(connection: AsyncConnection, message: int) -> StoredMessage:
    """Read one message.

    Raises:
        NotFoundError: There is no such message.
    """
    row = (await connection.execute(_MESSAGE, {"message": message})).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no message {message}.")
    return StoredMessage(*row)


async def find_said(connection: AsyncConnection, step: Step) -> StoredMessage | None:
    """What a step has said already, when an earlier attempt of it got that far."""
    row = (await connection.execute(_OPENED, {**key_of(step), "index": 0})).one_or_none()
    return None if row is None else await find_message(connection, row.message_id)


def key_of(step: Step) -> dict[str, str]:
    """A step as the values of a statement."""
    return {"run_id": step.run_id, "step": step.step}
