"""Starts a run, shows where it is while it works, and tells how it ended."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    TerminatedError,
    TimeoutError,  # noqa: A004 - the SDK names it
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError

from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings
from starters.progress import show_progress
from starters.terminal import EXIT_RUN_FAILED, EXIT_STILL_OPEN, err, fail, out

WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)  # a worker killed inside a workflow task
NOBODY_FOR_S = 15
POLLER_SEEN_WITHIN = timedelta(seconds=75)  # a poll lasts up to a minute

PATTERN = SearchAttributeKey.for_keyword("Pattern")
USER_ID = SearchAttributeKey.for_keyword("UserId")
PHASE = SearchAttributeKey.for_keyword("Phase")

Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True)
class StartOptions:
    """What every starter takes: the run's id, whether to wait, whether to print JSON."""

    workflow_id: str = ""
    wait: bool = True
    as_json: bool = False


@dataclass(frozen=True)
class Flow:
    """What is started: the workflow by name, the pattern it shows, and one line about the run."""

    workflow: str
    pattern: str
    summary: str
    user_id: str = ""


async def start(
    client: Client, flow: Flow, request: BaseModel, workflow_id: str = ""
) -> WorkflowHandle[Any, Any]:
    """Start a run; it goes on whatever becomes of this process.

    Raises:
        ConfigurationError: A run with this id is at work already, or the server refuses.
    """
    chosen = workflow_id or f"{flow.pattern}-{secrets.token_hex(4)}"
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(PATTERN, flow.pattern),
            SearchAttributePair(USER_ID, flow.user_id or "-"),
            SearchAttributePair(PHASE, "running"),
        ]
    )
    try:
        return await client.start_workflow(
            flow.workflow,
            request,
            id=chosen,
            task_queue=queues.WORKFLOWS,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            search_attributes=attributes,
            static_summary=flow.summary[:200],
        )
    except WorkflowAlreadyStartedError as error:
        raise ConfigurationError(
            f"A run with the id {chosen} is at work already. Watch it with "
            f"`durable-agents status {chosen}`, or choose another --id."
        ) from error
    except RPCError as error:
        raise ConfigurationError(f"The server does not start the run: {error.message}.") from error


async def start_and_report(
    settings: Settings,
    flow: Flow,
    request: BaseModel,
    result_type: type[Result],
    options: StartOptions,
) -> Result | None:
    """Start a run, wait for it unless told otherwise, and print what came of it.

    Returns:
        The result, or None when nobody waits for it. It is printed already with `--json`.
    """
    client = await connect(settings)
    handle = await start(client, flow, request, options.workflow_id)
    url = run_url(settings, client.namespace, handle.id, handle.first_execution_run_id or "")
    place = {"id": handle.id, "run": handle.first_execution_run_id, "url": url}
    if not options.wait:
        _print_started(place, options)
        return None
    if not options.as_json:
        err.print(f"[dim]{handle.id}  {url}[/dim]")
    result = await wait_for(client, handle, result_type, place, options)
    if options.as_json:
        done = {**place, "status": "completed", **result.model_dump(mode="json")}
        done["simulator"] = done.get("model") == SIMULATOR_MODEL
        out.print_json(json.dumps(done))
    return result


async def wait_for(
    client: Client,
    handle: WorkflowHandle[Any, Any],
    result_type: type[Result],
    place: dict[str, Any],
    options: StartOptions,
) -> Result:
    """Wait for the end of a run, showing where it is; end the command when it failed."""
    handle = client.get_workflow_handle(handle.id, result_type=result_type)
    work = asyncio.ensure_future(handle.result())
    watch = asyncio.ensure_future(show_progress(handle, quiet=options.as_json))
    lonely = asyncio.ensure_future(_nobody_works(client))
    try:
        await asyncio.wait({work, lonely}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            _tell_nobody_works(place, options)
        return await work
    except WorkflowFailureError as error:
        _tell_failure(error, place, options)
    finally:
        for task in (work, watch, lonely):
            task.cancel()
        await asyncio.gather(work, watch, lonely, return_exceptions=True)


async def _nobody_works(client: Client) -> None:
    """Return once no worker has been there for a while."""
    missing = 0
    while missing * 3 < NOBODY_FOR_S:
        missing = 0 if await has_workers(client) else missing + 1
        await asyncio.sleep(3)


async def has_workers(client: Client, queue: str = queues.WORKFLOWS) -> bool:
    """Whether a worker has polled a task queue lately."""
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    if queue != queues.WORKFLOWS:
        kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
    )
    since = datetime.now(UTC) - POLLER_SEEN_WITHIN
    return any(
        poller.last_access_time.ToDatetime(tzinfo=UTC) > since for poller in described.pollers
    )


def _tell_nobody_works(place: dict[str, Any], options: StartOptions) -> NoReturn:
    sentence = (
        f"Run {place['id']} is started and safe, but no worker is there to do it. Start one with "
        f"`python -m workers` (or `durable-agents up`); `durable-agents status {place['id']}` "
        "shows it."
    )
    _print_failure(place, options, "open", "NoWorker", sentence)
    fail(sentence, EXIT_STILL_OPEN)


def _tell_failure(
    error: WorkflowFailureError, place: dict[str, Any], options: StartOptions
) -> NoReturn:
    """Say why a run ended without a result, and end."""
    kind, reason = failure_of(error)
    status = {"Cancelled": "cancelled", "Terminated": "terminated"}.get(kind, "failed")
    _print_failure(place, options, status, kind, reason)
    link = f" See {place['url']}" if place["url"] else ""
    fail(f"Run {place['id']} {_ended(kind)}: {reason}{link}", EXIT_RUN_FAILED)


def failure_of(error: WorkflowFailureError) -> tuple[str, str]:
    """The type and the sentence of the failure that a step raised."""
    cause: BaseException = error.cause
    if isinstance(cause, CancelledError):
        return "Cancelled", "somebody cancelled it."
    if isinstance(cause, TerminatedError):
        return "Terminated", "somebody terminated it."
    if isinstance(cause, TimeoutError):
        return "TimedOut", "it reached its execution timeout."
    while isinstance(cause, FailureError) and cause.cause is not None:
        if isinstance(cause, ApplicationError):
            break  # what caused it in turn is not meant for people
        cause = cause.cause
    kind = getattr(cause, "type", None) or type(cause).__name__
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return str(kind), message or str(kind)


def _ended(kind: str) -> str:
    return {"Cancelled": "was cancelled", "Terminated": "was terminated"}.get(kind, "failed")


def _print_started(place: dict[str, Any], options: StartOptions) -> None:
    if options.as_json:
        out.print_json(json.dumps({**place, "status": "running"}))
        return
    out.print(f"Started {place['id']}. {place['url']}")
    out.print(f"[dim]durable-agents status {place['id']} shows where it is.[/dim]")


def _print_failure(
    place: dict[str, Any], options: StartOptions, status: str, kind: str, reason: str
) -> None:
    if options.as_json:
        error = {"type": kind, "message": reason}
        out.print_json(json.dumps({**place, "status": status, "error": error}))
