"""Starts runs as starters do, and reads what became of them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, FailureError

from durable_agents.models import queues
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.models.status import RunStatus

LONGEST_S = 30

Result = TypeVar("Result", bound=BaseModel)


def token() -> str:
    """A word that no other test says, to put into a task and to match faults with."""
    return "zq" + "".join(secrets.choice("bcdfghjklmnprstvwx") for _ in range(10))


async def start(
    client: Client,
    workflow: str,
    *given: Any,
    result_type: type[Result] | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start a run by the name of its workflow."""
    return await client.start_workflow(
        workflow,
        args=given,
        id=f"{workflow}-{secrets.token_hex(6)}",
        task_queue=queues.WORKFLOWS,
        result_type=result_type,
    )


async def start_react(client: Client, task: str, **options: Any) -> WorkflowHandle[Any, Any]:
    """Start an agent on a task."""
    request = ReActInput(task=task, **options)
    return await start(client, "ReActWorkflow", request, result_type=ReActResult)


async def react(client: Client, task: str, **options: Any) -> ReActResult:
    """Let an agent work on a task to the end."""
    return await result_of(await start_react(client, task, **options))


async def result_of(handle: WorkflowHandle[Any, Any]) -> Any:
    """The result of a run, which must not take long."""
    async with asyncio.timeout(LONGEST_S):
        return await handle.result()


async def failure_of(handle: WorkflowHandle[Any, Any]) -> tuple[str, str]:
    """The type and the message of the failure that a step of a failed run raised."""
    try:
        result = await result_of(handle)
    except WorkflowFailureError as error:
        cause: BaseException = error.cause
        while not isinstance(cause, ApplicationError) and cause.__cause__ is not None:
            cause = cause.__cause__
        kind = cause.type if isinstance(cause, ApplicationError) else None
        message = cause.message if isinstance(cause, FailureError) else str(cause)
        return kind or type(cause).__name__, message
    raise AssertionError(f"the run did not fail: {result}")


async def status_of(handle: WorkflowHandle[Any, Any]) -> RunStatus:
    """What the run answers to the query `status`."""
    return await handle.query("status", result_type=RunStatus)


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within: float = 10) -> None:
    """Wait until something is so."""
    for _ in range(int(within / 0.02)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited {within} s in vain: {what}")


async def until_step(handle: WorkflowHandle[Any, Any], step: str) -> None:
    """Wait until a run is in a step."""
    seen = RunStatus()

    async def there() -> bool:
        nonlocal seen
        seen = await status_of(handle)
        return seen.step == step

    try:
        await until(there, f"step {step}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {seen}") from None


async def events_of(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    """The history of a run."""
    return [event async for event in handle.fetch_history_events()]


async def count_of(handle: WorkflowHandle[Any, Any], kind: "EventType.ValueType") -> int:
    """How many events of a kind a run has."""
    return sum(event.event_type == kind for event in await events_of(handle))


async def activities_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The ids of the activities that a run has scheduled, in order."""
    return [
        event.activity_task_scheduled_event_attributes.activity_id
        for event in await events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


async def attempts_of(handle: WorkflowHandle[Any, Any], activity_id: str) -> int:
    """How many attempts an activity took that has ended."""
    events = await events_of(handle)
    scheduled = [
        event.event_id
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_id == activity_id
    ]
    return max(
        event.activity_task_started_event_attributes.attempt
        for event in events
        if event.activity_task_started_event_attributes.scheduled_event_id in scheduled
        and event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )
