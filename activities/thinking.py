"""Touches the model and the threads: one call of an agent that may use tools.

The conversation is loaded from the database and what the model says is stored there; history
only learns which tools it asked for, or its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity

from activities.call_site import call_site, step_of
from durable_agents.agent.asking import Asker, Question
from durable_agents.agent.budget import Allowance
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.context import build_messages
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.toolbox import digest, parse_arguments, tool_schema
from durable_agents.agent.tools import TOOLS
from durable_agents.clients.model import ChatAnswer, RequestedCall
from durable_agents.db.engine import Database
from durable_agents.db.threads import (
    NewMessage,
    Step,
    StoredMessage,
    add_observation,
    append,
    find_said,
    read_conversation,
)
from durable_agents.db.usage import CallRecord, append_counted, record_call
from durable_agents.models.conversation import ThinkInput, Thought, ToolCall
from durable_agents.models.errors import ToolArgumentsError
from durable_agents.models.status import Usage

MAX_CALLS = 16  # calls in one thought; more is a model that has lost its way
ABOUT_CHARS = 40
EMPTY = "Your answer was empty. Try again: call a tool, or answer the task in words."
CUT = "\n\n[The answer was cut at the agent's limit of tokens.]"


@dataclass(frozen=True)
class _PlannedCall:
    """A call as it is stored and as history records it; `reason` is why it is refused."""

    stored: dict[str, Any]
    call: ToolCall
    reason: str = ""


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
                    return _stored_thought(agent, said)
            conversation = await read_conversation(
                connection,
                request.head,
                latest=agent.limits.context_messages,
                task=request.task,
            )
        question = Question(
            messages=build_messages(agent, conversation, user_id=request.user_id),
            complaint=lambda answer: "" if answer.calls or spoken(answer).strip() else EMPTY,
            tools=tuple(tool_schema(TOOLS[grant.name]) for grant in agent.tools),
            allowance=Allowance(request.max_tokens, request.max_cost_usd),
        )
        asked = await self._asker.ask(agent, question, site)
        planned = plan_calls(agent, asked.answer.calls)
        message = await self._store(step, request.head, asked.answer, planned, asked.records)
        return thought_of(message, spoken(asked.answer), asked.answer.model, planned, asked.usage)

    async def _store(
        self,
        step: Step,
        head: int,
        answer: ChatAnswer,
        planned: Sequence[_PlannedCall],
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
            message = await append(connection, step, said, parent=head)
            for index, call in enumerate(planned):
                if call.reason:
                    await add_observation(
                        connection, step, answers=message, call=index, content=call.reason
                    )
            for record in records:
                await record_call(connection, record)
        return message


def spoken(answer: ChatAnswer) -> str:
    """The text of an answer; says so when it is a refusal or was cut."""
    text = answer.text or answer.refusal
    return text + CUT if answer.cut and not answer.calls else text


def plan_calls(agent: AgentDefinition, calls: Sequence[RequestedCall]) -> list[_PlannedCall]:
    """Check each call that a model asked for against what its agent may do."""
    return [_planned(agent, call, index) for index, call in enumerate(calls)]


def _planned(agent: AgentDefinition, call: RequestedCall, index: int) -> _PlannedCall:
    name = call.name[:100] or "(no name)"
    stored: dict[str, Any] = {"id": call.call_id, "name": name, "arguments": call.arguments}
    grant = agent.grant(name)
    if index >= MAX_CALLS:
        return _refused(stored, name, f"Error: at most {MAX_CALLS} calls at once are run.")
    if grant is None or name not in TOOLS:
        known = ", ".join(grant.name for grant in agent.tools) or "none"
        return _refused(stored, name, f"Error: there is no tool {name}. You can use: {known}.")
    tool = TOOLS[name]
    try:
        arguments = parse_arguments(tool, call.arguments)
    except ToolArgumentsError as error:
        return _refused(stored, name, f"Error: {error.message}")
    return _PlannedCall(
        stored,
        ToolCall(
            tool=name,
            digest=digest(arguments),
            about=tool.about(arguments)[:ABOUT_CHARS],
            approval=grant.requires_approval,
        ),
    )


def _refused(stored: dict[str, Any], name: str, reason: str) -> _PlannedCall:
    return _PlannedCall(stored, ToolCall(tool=name, digest="", refused=True), reason)


def thought_of(
    message: int, text: str, model: str, planned: Sequence[_PlannedCall], usage: Usage
) -> Thought:
    """What history records of a thought: its calls, or else its answer."""
    return Thought(
        message=message,
        calls=tuple(call.call for call in planned),
        answer="" if planned else text,
        model=model,
        usage=usage,
    )


def _stored_thought(agent: AgentDefinition, said: StoredMessage) -> Thought:
    """The thought that an earlier attempt has stored; what it used was counted then."""
    calls = [
        RequestedCall(call["id"], call["name"], call["arguments"]) for call in said.tool_calls or ()
    ]
    planned = plan_calls(agent, calls)
    return thought_of(said.message_id, said.content, said.model or "", planned, Usage())
