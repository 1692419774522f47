"""A workflow whose every value may be as large as one likes, and what runs it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

with workflow.unsafe.imports_passed_through():
    from durable_agents.models.base import Record
    from durable_agents.models.errors import InputError
    from workflows import policies

ACTIVITIES = "-activities"
"""What the name of the queue of activities ends with."""


class Parcel(Record):
    """A value of any size.

    `grow` has the activity hand on that many of it; `fails` makes it fail with it; `apart` has it
    run on a queue of its own; `waits` parks the run until it is sent another parcel.
    """

    content: str = ""
    grow: int = 1
    fails: bool = False
    apart: bool = False
    waits: bool = False


@workflow.defn
class ParcelWorkflow:
    """Carry a parcel through an activity, and through a message if it waits for one."""

    @workflow.init
    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self._sent: list[Parcel] = []

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel:
        queue = workflow.info().task_queue
        workflow.set_current_details(f"carries {parcel.content[:40]}")
        if parcel.waits:
            await workflow.wait_condition(lambda: bool(self._sent))
            self._parcel = self._sent[0]
        return await workflow.execute_activity(
            carry,
            self._parcel.model_copy(update={"fails": parcel.fails, "grow": parcel.grow}),
            activity_id="carry",
            task_queue=f"{queue}{ACTIVITIES}" if parcel.apart else queue,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=policies.SERVICE_CALL,
            summary=f"carry {parcel.content[:40]}",
        )

    @workflow.update
    async def send(self, parcel: Parcel) -> Parcel:
        """Send it another parcel, which comes back."""
        self._sent.append(parcel)
        return parcel

    @workflow.query
    def parcel(self) -> Parcel:
        """Look at the parcel."""
        return self._parcel


@activity.defn
async def carry(parcel: Parcel) -> Parcel:
    """Hand a parcel on, or fail with it."""
    if parcel.fails:
        raise InputError(f"cannot carry {parcel.content}")
    return Parcel(content=parcel.content * parcel.grow)


@asynccontextmanager
async def carriers(client: Client, queue: str, *, only: str = "") -> AsyncGenerator[None]:
    """A worker; `only` is `workflows` or `activities`, the latter on their own queue."""
    given: dict[str, Any] = {"workflows": [ParcelWorkflow], "activities": [carry]}
    given = {only: given[only]} if only else given
    name = f"{queue}{ACTIVITIES}" if only == "activities" else queue
    async with Worker(
        client,
        task_queue=name,
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        **given,
    ):
        yield


async def send_off(
    client: Client, queue: str, parcel: Parcel, **options: Any
) -> WorkflowHandle[Any, Parcel]:
    """Start a run that is named as its queue."""
    return await client.start_workflow(
        "ParcelWorkflow",
        parcel,
        id=queue,
        task_queue=queue,
        result_type=Parcel,
        execution_timeout=timedelta(minutes=2),
        task_timeout=timedelta(seconds=1),  # a task that failed is tried again after this
        **options,
    )


async def send(handle: WorkflowHandle[Any, Parcel], parcel: Parcel) -> Parcel:
    """Send a run another parcel; gives what it answers."""
    return await handle.execute_update("send", parcel, result_type=Parcel)  # pyright: ignore[reportUnknownMemberType] - the SDK's type
