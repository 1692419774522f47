"""Steps of an agent without a model and a database: they do as they are told."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from durable_agents.models import queues
from durable_agents.models.conversation import (
    LoggedError,
    ObserveInput,
    OpenThreadInput,
    ThinkInput,
    Thought,
    ThreadHead,
    ToolCall,
    ToolCallInput,
    ToolOutcome,
)
from durable_agents.models.status import Usage
from workflows.react import ReActWorkflow

Planned = Thought | Exception


def thinks(*tools: str, digest: str = "d1", usage: Usage | None = None) -> Thought:
    """A thought that asks for tools, or for none and is the answer."""
    used = usage or Usage(input_tokens=100, output_tokens=20, cost_usd=0.01, calls=1)
    calls = tuple(ToolCall(tool=tool, digest=digest, about="it") for tool in tools)
    return Thought(message=7, calls=calls, answer="" if tools else "Done.", usage=used)


@dataclass
class FakeSteps:
    """Thinks what is planned, then answers; runs tools that do nothing, or fail.

    Attributes:
        plan: The thoughts, one a call; an error is raised instead, the last one for ever.
        tool_failure: What tool calls raise.
        tool_failures: How many of them do.
        tool_takes: How long each tool call takes.
        opening_failure: What opening a thread raises.
        asked: What each model call was given.
        called: What each tool call was given, with the tool's name.
        observed: What was observed.
        logged: What was logged.
    """

    plan: list[Planned] = field(default_factory=list[Planned])
    tool_failure: Exception | None = None
    tool_failures: int = 10**6
    tool_takes: timedelta = timedelta(0)
    opening_failure: Exception | None = None
    asked: list[ThinkInput] = field(default_factory=list[ThinkInput])
    called: list[tuple[str, ToolCallInput]] = field(default_factory=list[tuple[str, ToolCallInput]])
    observed: list[ObserveInput] = field(default_factory=list[ObserveInput])
    logged: list[LoggedError] = field(default_factory=list[LoggedError])

    @activity.defn(name="create_thread")
    async def create_thread(self, request: OpenThreadInput) -> ThreadHead:
        if self.opening_failure is not None:
            raise self.opening_failure
        return ThreadHead(thread=1, head=1)

    @activity.defn(name="think")
    async def think(self, request: ThinkInput) -> Thought:
        self.asked.append(request)
        planned = self.plan[0] if self.plan else thinks()
        if isinstance(planned, Exception):
            if len(self.plan) > 1:
                self.plan.pop(0)
            raise planned
        self.plan[:1] = []
        return planned

    @activity.defn(name="calculate")
    async def calculate(self, call: ToolCallInput) -> ToolOutcome:
        return await self._act("calculate", call)

    @activity.defn(name="get_weather")
    async def get_weather(self, call: ToolCallInput) -> ToolOutcome:
        return await self._act("get_weather", call)

    @activity.defn(name="file_ticket")
    async def file_ticket(self, call: ToolCallInput) -> ToolOutcome:
        return await self._act("file_ticket", call)

    async def _act(self, tool: str, call: ToolCallInput) -> ToolOutcome:
        self.called.append((tool, call))
        if self.tool_failure is not None and len(self.called) <= self.tool_failures:
            raise self.tool_failure
        await asyncio.sleep(self.tool_takes.total_seconds())
        return ToolOutcome(chars=1)

    @activity.defn(name="observe")
    async def observe(self, request: ObserveInput) -> ThreadHead:
        self.observed.append(request)
        return ThreadHead(thread=1, head=len(self.asked) + 1)

    @activity.defn(name="log_error")
    async def log_error(self, error: LoggedError) -> None:
        self.logged.append(error)

    @asynccontextmanager
    async def at_work(self, client: Client) -> AsyncGenerator["FakeSteps"]:
        """Run workers of the ReAct workflow with these steps."""
        here: list[Any] = [self.create_thread, self.observe, self.log_error]
        tools = [self.calculate, self.get_weather, self.file_ticket]
        async with (
            Worker(client, task_queue=queues.WORKFLOWS, workflows=[ReActWorkflow], activities=here),
            Worker(client, task_queue=queues.LLM, activities=[self.think]),
            Worker(client, task_queue=queues.TOOLS, activities=tools),
        ):
            yield self
