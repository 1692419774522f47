"""Touches the threads: opens them, stores messages, makes observations part of them."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.agent.catalogue import get_agent
from durable_agents.db.engine import Database
from durable_agents.db.observations import attach_observations
from durable_agents.db.threads import (
    NewMessage,
    Step,
    append,
    find_message,
    latest_head,
    open_thread,
)
from durable_agents.models.conversation import (
    ObserveInput,
    OpenThreadInput,
    SaveMessagesInput,
    ThreadHead,
)


class ConversationActivities:
    """Mutations of threads; each closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="create_thread")
    async def create_thread(self, request: OpenThreadInput) -> ThreadHead:
        """Open a thread with what the user says, or add it to the thread that is named.

        Raises:
            UnknownAgentError: No agent of this name is in the catalogue.
            NotFoundError: The user has no such thread.
        """
        if request.agent:
            get_agent(request.agent)
        step = step_of()
        if request.chain:
            step = Step(run_id=request.chain, step=step.step)
        if not request.thread:
            async with self._database.statement() as connection:
                return await open_thread(
                    connection,
                    step,
                    user_id=request.user_id,
                    agent=request.agent,
                    content=request.text,
                )
        async with self._database.transaction() as connection:
            parent = await latest_head(connection, request.thread, request.user_id)
            said = NewMessage(role="user", content=request.text)
            head = await append(connection, step, said, parent=parent)
        return ThreadHead(thread=request.thread, head=head)

    @activity.defn(name="save_messages")
    async def save_messages(self, request: SaveMessagesInput) -> ThreadHead:
        """Add messages behind the head of a thread, in order; those that are there stay.

        Raises:
            NotFoundError: There is no such head, or a message that should be there is not.
        """
        step, head = step_of(), request.head
        async with self._database.transaction() as connection:
            for index, said in enumerate(request.messages):
                if said.stored:
                    head = (await find_message(connection, said.stored)).message_id
                else:
                    message = NewMessage(role=said.role, content=said.content, index=index)
                    head = await append(connection, step, message, parent=head)
        return ThreadHead(thread=request.thread, head=head)

    @activity.defn(name="observe")
    async def observe(self, request: ObserveInput) -> ThreadHead:
        """Make the observations of a thought part of the thread, in the order of its calls."""
        one_statement = not request.failed
        opened = self._database.statement() if one_statement else self._database.transaction()
        async with opened as connection:
            return await attach_observations(
                connection,
                step_of(),
                answers=request.message,
                calls=request.calls,
                failed=request.failed,
            )
