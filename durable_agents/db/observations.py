"""Observations: what came of the tool calls of a message, stored beside it, then made part of it.

Calls run side by side and end in any order; the thread has their observations in the order of
the calls.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.threads import Step, key_of
from durable_agents.models.conversation import FailedCall, ThreadHead

NO_RESULT = "Error: this call left no result."

_ANSWER = text(
    """
    INSERT INTO messages (thread_id, answers_id, position, role, content, tool_call_id, tool,
                          run_id, step, index)
    SELECT thread_id, message_id, -1, 'tool', :content, tool_calls -> :call ->> 'id',
           tool_calls -> :call ->> 'name', :run_id, :step, :call + 1
    FROM messages WHERE message_id = :answers
    ON CONFLICT (run_id, step, index) DO NOTHING
    """
)
_ATTACH = text(
    """
    WITH chosen AS (
        SELECT DISTINCT ON (index) message_id, index FROM messages
        WHERE answers_id = :answers ORDER BY index, (run_id = :run_id) DESC, message_id DESC),
    linked AS (
        SELECT message_id, row_number() OVER w AS place,
               COALESCE(lag(message_id) OVER w, :answers) AS parent
        FROM chosen WINDOW w AS (ORDER BY index))
    UPDATE messages SET parent_id = linked.parent,
           position = linked.place
             + (SELECT said.position FROM messages said WHERE said.message_id = :answers)
    FROM linked WHERE messages.message_id = linked.message_id
    RETURNING linked.place, messages.message_id, messages.thread_id, messages.index
    """
)


async def add_observation(
    connection: AsyncConnection, step: Step, *, answers: int, call: int, content: str
) -> None:
    """Store what came of the call at index `call` of the message `answers`, outside the thread."""
    values = {"answers": answers, "call": call, "content": content}
    await connection.execute(_ANSWER, {**values, **key_of(step)})


async def attach_observations(
    connection: AsyncConnection,
    step: Step,
    *,
    answers: int,
    calls: int,
    failed: tuple[FailedCall, ...] = (),
) -> ThreadHead:
    """Make the observations of a message part of its thread, in the order of the calls.

    A call that left none gets one that says so.
    """
    for call in failed:
        await add_observation(
            connection, step, answers=answers, call=call.index, content=call.reason
        )
    values = {"answers": answers, "run_id": step.run_id}
    rows = (await connection.execute(_ATTACH, values)).all()
    if len(rows) != calls:
        for call in set(range(calls)) - {int(row[3]) - 1 for row in rows}:
            await add_observation(connection, step, answers=answers, call=call, content=NO_RESULT)
        rows = (await connection.execute(_ATTACH, values)).all()
    last = max(rows, key=lambda row: int(row[0]))
    return ThreadHead(thread=last[2], head=last[1])
