"""Workflows with children, with parallel steps and with later runs, to be reset by tests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from durable_agents.models.base import Record

QUEUE = "parents"


class Part(Record):
    """What they take."""

    number: int = 0


@activity.defn
async def note(name: str) -> str:
    """Say in which run this was done."""
    return f"{name}@{activity.info().workflow_run_id}"


async def do(name: str) -> str:
    """A step."""
    return await workflow.execute_activity(
        note,
        name,
        activity_id=name,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=RetryPolicy(maximum_attempts=3),
    )


@workflow.defn(sandboxed=False)
class Child:
    """Waits until it is released; a new run of it need not be."""

    def __init__(self) -> None:
        self._released = False

    @workflow.signal
    def release(self) -> None:
        """Let it end."""
        self._released = True

    @workflow.run
    async def run(self, part: Part) -> str:
        """Tell the run."""
        await do("prepare")
        await workflow.wait_condition(lambda: self._released)
        return f"{workflow.info().run_id}{part.number or ''}"


@workflow.defn(sandboxed=False)
class Parent:
    """A step, a child with a step beside it, and a step."""

    @workflow.run
    async def run(self, part: Part) -> list[str]:
        """Tell what each said."""
        before = await do("before")
        child = asyncio.ensure_future(
            workflow.execute_child_workflow(
                Child.run, part, id=f"{workflow.info().workflow_id}/child"
            )
        )
        side = await do("first") + await do("second")
        return [before, side, await child, await do("after")]


@workflow.defn(sandboxed=False)
class Steps:
    """Two steps."""

    @workflow.run
    async def run(self, part: Part) -> list[str]:
        """Tell what each said."""
        return [await do("first"), await do("second")]


@activity.defn
async def hold(name: str) -> str:
    """Work until another step has been asked for."""
    handle = activity.client().get_workflow_handle(activity.info().workflow_id or "")
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.activity_task_scheduled_event_attributes.activity_id == "second":
            break
    return await note(name)


@workflow.defn(sandboxed=False)
class Beside:
    """Two steps, and one beside them that ends after the second has begun."""

    @workflow.run
    async def run(self, part: Part) -> list[str]:
        """Tell what each said."""
        held = asyncio.ensure_future(
            workflow.execute_activity(
                hold,
                "held",
                activity_id="held",
                start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_attempts=3),
            )
        )
        return [await do("first"), await do("second"), await held]


@workflow.defn(sandboxed=False)
class Chain:
    """A step in each of three runs; the last one waits."""

    @workflow.run
    async def run(self, part: Part) -> None:
        """Go on twice."""
        await do(f"part-{part.number}")
        if part.number < 3:
            workflow.continue_as_new(Part(number=part.number + 1))
        await workflow.wait_condition(lambda: False)


Handle = WorkflowHandle[Any, Any]


@asynccontextmanager
async def parents(client: Client) -> AsyncGenerator[None]:
    """A worker for these."""
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Parent, Child, Chain, Beside],
        activities=[note, hold],
    ):
        yield
