"""Runs the tools: one activity for each, named for it.

What a tool touches is its own affair (`durable_agents/agent/tools/`). The arguments are read
from the message that asked for the call, and the observation is stored beside it: neither
passes through history.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from temporalio import activity

from activities.call_site import step_of
from durable_agents.agent.tool import Tool, ToolContext
from durable_agents.agent.toolbox import digest, parse_arguments, render_result
from durable_agents.agent.tools import TOOLS
from durable_agents.db.approval_lists import get_request
from durable_agents.db.approvals import canonical
from durable_agents.db.engine import Database
from durable_agents.db.observations import add_observation
from durable_agents.db.threads import find_message
from durable_agents.models.conversation import ToolCallInput, ToolOutcome
from durable_agents.models.errors import FinalError, InputError, NotFoundError
from durable_agents.telemetry.spans import SPANS, Span, as_json, error_type_of, told

EDITED = "\n[A person changed the arguments of this call before it was made: {0}]"

ToolActivity = Callable[[ToolCallInput], Awaitable[ToolOutcome]]
ToolWatch = Callable[[str, str, float], None]


class ToolActivities:
    """The step *act*.

    Args:
        database: Where messages and observations lie.
        context: Makes what a tool may use, for a key and a user.
        tools: The tools by name.
        watch: Is told of every attempt: the tool, its outcome, and the seconds it took.
    """

    def __init__(
        self,
        database: Database,
        context: Callable[[str, str, str], ToolContext],
        tools: Mapping[str, Tool] = TOOLS,
        watch: ToolWatch | None = None,
    ) -> None:
        self._database = database
        self._context = context
        self._tools = tools
        self._watch = watch

    def activities(self) -> list[ToolActivity]:
        """One activity for each tool."""
        return [self._activity(tool) for tool in self._tools.values()]

    def _activity(self, tool: Tool) -> ToolActivity:
        """The activity that runs a tool."""

        @activity.defn(name=tool.name)
        async def act(call: ToolCallInput) -> ToolOutcome:
            started, outcome = time.perf_counter(), "failed"
            attributes = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool.name,
                "gen_ai.tool.type": "function",
            }
            try:
                with SPANS.span(f"execute_tool {tool.name}", attributes=attributes) as span:
                    done, outcome = await self._act(tool, call, span)
                return done
            except BaseException as error:
                outcome = error_type_of(error)
                raise
            finally:
                if self._watch is not None:
                    self._watch(tool.name, outcome, time.perf_counter() - started)

        return act

    async def _act(self, tool: Tool, call: ToolCallInput, span: Span) -> tuple[ToolOutcome, str]:
        """Run one call and store what came of it; tells also its outcome for who counts.

        An error that trying again cannot mend is an observation: the agent should know of it.

        Raises:
            TransientError: Another try may help.
        """
        async with self._database.statement() as connection:
            message = await find_message(connection, call.message)
        if not message.tool_calls or call.index >= len(message.tool_calls):
            raise NotFoundError(f"Message {call.message} has no tool call {call.index}.")
        asked = message.tool_calls[call.index]
        text, step, outcome = str(asked["arguments"]), step_of(), "ok"
        span.tell({"gen_ai.tool.call.id": str(asked["id"])})
        try:
            context = self._context(call.key, call.user_id, step.run_id)
            context = replace(context, first_stands=call.first_stands)
            edited = ""
            if call.request:
                text, edited = await self._approved(tool, call)
            result = await tool.run(parse_arguments(tool, text), context)
            content = render_result(tool, result) + edited
        except FinalError as error:
            content, outcome = render_result(tool, f"Error: {error.message}"), type(error).__name__
            span.failed(outcome)
        if SPANS.contents:
            given = {"gen_ai.tool.call.arguments": told(as_json(text))}
            span.tell({**given, "gen_ai.tool.call.result": told(content)})
        async with self._database.statement() as connection:
            await add_observation(
                connection, step, answers=call.message, call=call.index, content=content
            )
        return ToolOutcome(chars=len(content), failed=outcome != "ok"), outcome

    async def _approved(self, tool: Tool, call: ToolCallInput) -> tuple[str, str]:
        """The arguments that a person approved, and what the agent is told of a change.

        Raises:
            InputError: The request is not approved, or is about another call.
        """
        async with self._database.statement() as connection:
            request = await get_request(connection, call.request)
        edited = request.edited_arguments
        text = canonical((request.arguments or {}) if edited is None else edited)
        same = digest(parse_arguments(tool, text)) == call.digest
        if request.status != "approved" or request.tool != tool.name or not same:
            raise InputError(f"Request {call.request} does not approve this call of {tool.name}.")
        return text, "" if edited is None else EDITED.format(text)
