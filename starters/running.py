"""Starts a run, shows where it is while it works, and tells how it ended."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError
from durable_agents.models.saga import SagaOutcome
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.priorities import DEFAULT, priority_of
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from starters.asking import tell_requests
from starters.failures import ended_by, failure_of
from starters.outcomes import outcome_of, tell_outcome
from starters.presence import AWAY, nobody_works
from starters.progress import show_progress
from starters.terminal import (
    EXIT_RUN_FAILED,
    EXIT_STILL_OPEN,
    SERVER_AWAY,
    fail,
    note,
    print_json,
    say,
)

WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)  # a worker killed inside a workflow task

PATTERN = SearchAttributeKey.for_keyword("Pattern")
USER_ID = SearchAttributeKey.for_keyword("UserId")
PHASE = SearchAttributeKey.for_keyword("Phase")

Result = TypeVar("Result", bound=BaseModel)
Prepare = Callable[[Client], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class StartOptions:
    """What every starter takes: the run's id, whether to wait, whether to print JSON.

    `undoes` says that a run which fails undoes what it did, and can tell of it. `prepare` makes
    ready what the run will look for; it is left with the error when the run cannot be started.
    `inbox_url` is set for a run that may wait for people's decisions: where their page is, empty
    if it is not.
    """

    workflow_id: str = ""
    wait: bool = True
    as_json: bool = False
    undoes: bool = False
    prepare: Prepare | None = None
    inbox_url: str | None = None


@dataclass(frozen=True)
class Flow:
    """What is started: the workflow by name, the pattern it shows, and one line about the run.

    Its steps take the turns of its tenant, which is its user where none is named.
    """

    workflow: str
    pattern: str
    summary: str
    user_id: str = ""
    tenant: str = ""
    priority: int = DEFAULT


async def start(
    client: Client,
    flow: Flow,
    request: BaseModel,
    workflow_id: str = "",
    *,
    weights: Mapping[str, float] | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start a run; it goes on whatever becomes of this process. `weights` are those of tenants.

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
            priority=priority_of(flow.tenant or flow.user_id, weights, priority=flow.priority),
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
    weights = settings.tenant_weights
    async with options.prepare(client) if options.prepare else nullcontext():
        handle = await start(client, flow, request, options.workflow_id, weights=weights)
    url = run_url(settings, client.namespace, handle.id, handle.first_execution_run_id or "")
    place = {"id": handle.id, "run": handle.first_execution_run_id or "", "url": url}
    if not options.wait:
        _print_started(place, options)
        return None
    if not options.as_json:
        note(f"{handle.id}  {url}")
    try:
        result = await wait_for(client, place, result_type, options)
    except asyncio.CancelledError:
        _tell_left(place, options)
        raise
    if options.as_json:
        done = {**place, "status": "completed", **result.model_dump(mode="json")}
        model = done.get("model")
        done["simulator"] = model == SIMULATOR_MODEL if model else settings.uses_simulator
        print_json(done)
    return result


async def wait_for(
    client: Client, place: Mapping[str, str], result_type: type[Result], options: StartOptions
) -> Result:
    """Wait for the end of a run, showing where it is; end the command when it failed."""
    chain = client.get_workflow_handle(
        place["id"], run_id=place["run"] or None, result_type=result_type
    )
    latest = client.get_workflow_handle(place["id"])
    work = asyncio.ensure_future(chain.result())
    watch = asyncio.ensure_future(show_progress(latest, quiet=options.as_json))
    lonely = asyncio.ensure_future(nobody_works(client, latest))
    quiet = options.as_json or options.inbox_url is None
    asking = asyncio.ensure_future(tell_requests(latest, options.inbox_url or "", quiet=quiet))
    try:
        await asyncio.wait({work, lonely}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            _tell_stuck(lonely.result(), place, options)
        return await work
    except WorkflowFailureError as error:
        outcome = await outcome_of(error, chain) if options.undoes else None
        _tell_failure(error, place, options, outcome)
    except RPCError as error:
        if error.status not in SERVER_AWAY:
            raise
        _tell_stuck(AWAY, place, options)
    except ApplicationError:  # what the converter makes of JSON that does not fit
        _tell_unreadable(place, options)
    finally:
        for task in (work, watch, lonely, asking):
            task.cancel()
        await asyncio.gather(work, watch, lonely, asking, return_exceptions=True)


def _tell_stuck(missing: str, place: Mapping[str, str], options: StartOptions) -> NoReturn:
    sentence = (
        f"Run {place['id']} is started and safe, but {missing}. It goes on by itself when "
        "`python -m workers` (or `durable-agents up`) runs again; "
        f"`durable-agents status {place['id']}` shows it."
    )
    _print_failure(place, options, "running", "NobodyWorks", sentence)
    fail(sentence, EXIT_STILL_OPEN)


def _tell_left(place: Mapping[str, str], options: StartOptions) -> None:
    """Say that a run goes on although somebody pressed Ctrl-C."""
    if options.as_json:
        print_json({**place, "status": "running"})
    note(
        f"Run {place['id']} goes on without you: `durable-agents status {place['id']}` shows it, "
        f"`durable-agents cancel {place['id']}` ends it.",
        style="yellow",
    )


def _tell_unreadable(place: Mapping[str, str], options: StartOptions) -> NoReturn:
    sentence = (
        f"Run {place['id']} completed, but its result is not one that this release can read; "
        "use the release that its worker runs."
    )
    _print_failure(place, options, "completed", "UnreadableResult", sentence)
    fail(sentence, EXIT_RUN_FAILED)


def _tell_failure(
    error: WorkflowFailureError,
    place: Mapping[str, str],
    options: StartOptions,
    outcome: SagaOutcome | None = None,
) -> NoReturn:
    """Say why a run ended without a result, and end."""
    kind, reason = failure_of(error)
    status = {"Cancelled": "cancelled", "Terminated": "terminated"}.get(kind, "failed")
    _print_failure(place, options, status, kind, reason, outcome)
    if outcome is not None:
        tell_outcome(outcome)
    link = f" See {place['url']}" if place["url"] else ""
    fail(f"Run {place['id']} {ended_by(kind)}: {reason}{link}", EXIT_RUN_FAILED)


def _print_started(place: Mapping[str, str], options: StartOptions) -> None:
    if options.as_json:
        print_json({**place, "status": "running"})
        return
    say(f"Started {place['id']}. {place['url']}".rstrip())
    note(f"`durable-agents status {place['id']}` shows where it is.")


def _print_failure(
    place: Mapping[str, str],
    options: StartOptions,
    status: str,
    kind: str,
    reason: str,
    outcome: SagaOutcome | None = None,
) -> None:
    if options.as_json:
        told = outcome.model_dump(mode="json") if outcome is not None else {}
        failure = {"type": kind, "message": reason}
        print_json({**place, "status": status, "error": failure, **told})
