"""Touches the model and the threads: one call of an agent that may use tools.

The conversation is loaded from the database and what the model says is stored there; history
only learns which tools it asked for, or its answer.
"""

from collections.abc import Sequence

from temporalio import activity

from activities.call_site import call_site, step_of
from durable_agents.agent.asking import Asker
from durable_agents.agent.budget import Allowance
from durable_agents.agent.calls import PlannedCall, plan_calls, schemas_of
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.context import build_messages
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.question import Question
from durable_agents.clients.completion import ChatAnswer, RequestedCall
from durable_agents.db.engine import Database
from durable_agents.db.observations import add_observation
from durable_agents.db.threads import (
    NewMessage,
    Step,
    StoredMessage,
    append_first,
    find_id,
    find_message,
    find_said,
    read_conversation,
)
from durable_agents.db.usage import CallRecord, append_counted, record_call, usage_of_step
from durable_agents.models.conversation import ThinkInput, Thought
from durable_agents.models.status import Usage

EMPTY = "Your answer was empty. Try again: call a tool, or answer the task in words."
CUT = "\n\n[The answer was cut: it is too long.]"


class ThinkingActivities:
    """The step *think*."""

    def __init__(self, asker: Asker, database: Database) -> None:
        self._asker = asker
        self._database = database

    @activity.defn(name="think")
    async def think(self, request: ThinkInput) -> Thought:
        """Ask the agent's model what to do next.

        Raises:
            UnknownAgentError: No agent of this name is in the catalogue.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            ModelOutputError: The model keeps answering nothing.
            BudgetExceededError: What is left does not suffice for a call.
        """
        agent, site, step = get_agent(request.agent), call_site(request.user_id), step_of()
        async with self._database.statement() as connection:
            if site.attempt > 1:
                said = await find_said(connection, step)
                if said is not None:
                    used = await usage_of_step(connection, step)
                    return _stored_thought(agent, said, used, request.user_id)
            conversation = await read_conversation(
                connection,
                request.head,
                latest=agent.limits.context_messages,
                task=request.task,
            )
        question = Question(
            messages=build_messages(
                agent, conversation, task=request.task, user_id=request.user_id
            ),
            complaint=lambda answer: "" if answer.calls or spoken(answer).strip() else EMPTY,
            tools=schemas_of(agent),
            allowance=Allowance(request.max_tokens, request.max_cost_usd, request.max_calls),
            thread=request.thread,
        )
        asked = await self._asker.ask(agent, question, site)
        planned = plan_calls(agent, asked.answer.calls, request.user_id)
        message = await self._store(step, request.head, asked.answer, planned, asked.records)
        if site.attempt > 1:  # an earlier attempt that was taken for dead may have been first
            async with self._database.statement() as connection:
                said = await find_message(connection, message)
            return _stored_thought(agent, said, asked.usage, request.user_id)
        return thought_of(message, spoken(asked.answer), asked.answer.model, planned, asked.usage)

    async def _store(
        self,
        step: Step,
        head: int,
        answer: ChatAnswer,
        planned: Sequence[PlannedCall],
        records: Sequence[CallRecord],
    ) -> int:
        """Store what was said, why calls are refused, and what it cost, in one transaction."""
        said = NewMessage(
            role="assistant",
            content=spoken(answer),
            tool_calls=[call.stored for call in planned] or None,
            model=answer.model,
        )
        if len(records) == 1 and not any(call.reason for call in planned):
            async with self._database.statement() as connection:
                return await append_counted(connection, step, said, parent=head, record=records[0])
        async with self._database.transaction() as connection:
            for record in records:
                await record_call(connection, record)
            message = await append_first(connection, step, said, parent=head)
            if message is None:  # another attempt of this step was first: its thought counts
                return await find_id(connection, step, said.index)
            for index, call in enumerate(planned):
                if call.reason:
                    await add_observation(
                        connection, step, answers=message, call=index, content=call.reason
                    )
        return message


def spoken(answer: ChatAnswer) -> str:
    """The text of an answer; says so when it is a refusal or was cut."""
    text = answer.text or answer.refusal
    return text + CUT if answer.cut and not answer.calls else text


def thought_of(
    message: int, text: str, model: str, planned: Sequence[PlannedCall], usage: Usage
) -> Thought:
    """What history records of a thought: its calls, or else its answer."""
    return Thought(
        message=message,
        calls=tuple(call.call for call in planned),
        answer="" if planned else text,
        model=model,
        usage=usage,
    )


def _stored_thought(
    agent: AgentDefinition, said: StoredMessage, usage: Usage, user_id: str
) -> Thought:
    """The thought that an earlier attempt has stored, with what all attempts used."""
    calls = [
        RequestedCall(call["id"], call["name"], call["arguments"]) for call in said.tool_calls or ()
    ]
    planned = plan_calls(agent, calls, user_id)
    return thought_of(said.message_id, said.content, said.model or "", planned, usage)
