"""Show what a run waits for, and decide: approve it, or reject it with feedback."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db.engine import Database
from durable_agents.db.reviews import digest_of, get_review
from durable_agents.models.approval import (
    ApprovalState,
    Decision,
    PendingApproval,
    TakenDecision,
)
from durable_agents.models.errors import ConfigurationError, DecisionRefusedError, InputError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.inspect import find_run, status_name
from starters.options import AsJson, By, RunId, login
from starters.progress import QUERY_TIMEOUT_S
from starters.terminal import main_of, note, print_json, run, say

UPDATE_TIMEOUT_S = 15  # a worker that is being replaced answers again by then
BEGINNING_CHARS = 500  # of a text that is decided on by its beginning

Digest = Annotated[
    str,
    typer.Option(
        "--digest",
        help="That of the text you read, so that no other is meant. When left out, the text that "
        "waits now is shown and decided on, and no other.",
    ),
]


def decide(
    workflow_id: RunId,
    approve: Annotated[bool, typer.Option("--approve", help="Approve the text.")] = False,
    reject: Annotated[
        str | None,
        typer.Option("--reject", metavar="FEEDBACK", help="Reject it; say what to change."),
    ] = None,
    by: By = "",
    digest: Digest = "",
    as_json: AsJson = False,
) -> None:
    """Show the text that a run wants decided; with --approve or --reject, decide."""

    async def work(settings: Settings) -> None:
        if approve and reject is not None:
            raise InputError("Give either --approve or --reject FEEDBACK, not both.")
        client = await connect(settings)
        waiting = await waiting_of(client, workflow_id)
        if not approve and reject is None:
            _show(waiting, await content_of(settings, waiting.pending), as_json=as_json)
            return
        read: dict[str, str] = {}
        if not digest:
            read["content"] = await content_of(settings, waiting.pending)
            if not as_json:
                _show_beginning(waiting, read["content"])
        decision = Decision(
            verdict="approve" if approve else "reject",
            digest=digest or waiting.pending.digest,
            by=by or login(),
            feedback=reject or "",
        )
        taken = await submit(client, waiting, decision)
        if as_json:
            print_json({"id": workflow_id, **taken.model_dump(mode="json"), **read})
        else:
            say(f"Taken: {taken.sentence()}.")

    run(work, as_json=as_json)


@dataclass(frozen=True)
class Waiting:
    """A run, and what it waits for."""

    workflow_id: str
    run_id: str
    pending: PendingApproval


async def waiting_of(client: Client, workflow_id: str) -> Waiting:
    """Read what the newest run of this id waits for.

    Raises:
        NotFoundError: There is no such run.
        DecisionRefusedError: It does not wait for a decision; says what it does.
        ConfigurationError: No worker answers.
    """
    seen = await find_run(client, workflow_id)
    state = await _state_of(client, seen)
    if state.pending is not None and seen.status == WorkflowExecutionStatus.RUNNING:
        return Waiting(workflow_id, seen.run_id, state.pending)
    latest = state.latest.sentence() if state.latest else ""
    decided = f" {latest[:1].upper()}{latest[1:]} already." if latest else ""
    if seen.status != WorkflowExecutionStatus.RUNNING:
        raise DecisionRefusedError(
            f"Run {workflow_id} has ended ({status_name(seen.status)}); there is nothing to "
            f"decide.{decided}"
        )
    raise DecisionRefusedError(
        f"Run {workflow_id} does not wait for a decision now.{decided} "
        f"`durable-agents status {workflow_id}` shows where it is."
    )


async def _state_of(client: Client, seen: WorkflowExecution) -> ApprovalState:
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await client.get_workflow_handle(seen.id, run_id=seen.run_id).query(
                "approval", result_type=ApprovalState
            )
    except WorkflowQueryFailedError as error:
        raise DecisionRefusedError(
            f"Run {seen.id} is a {seen.workflow_type}, which asks nobody for a decision."
        ) from error
    except (RPCError, TimeoutError) as error:
        raise _nobody_answers(seen.id) from error


async def submit(client: Client, waiting: Waiting, decision: Decision) -> TakenDecision:
    """Send a decision to the run that was read, and to no later one of its id.

    Raises:
        DecisionRefusedError: The run does not take it; says why.
        ConfigurationError: No worker answers.
    """
    workflow_id = waiting.workflow_id
    handle = client.get_workflow_handle(workflow_id, run_id=waiting.run_id)
    try:
        async with asyncio.timeout(UPDATE_TIMEOUT_S):
            return await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
                "submit_decision", decision, result_type=TakenDecision
            )
    except WorkflowUpdateFailedError as error:
        told = error.cause.message if isinstance(error.cause, ApplicationError) else str(error)
        raise DecisionRefusedError(
            f"Run {workflow_id} does not take the decision. {told}"
        ) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise _nobody_answers(workflow_id) from error
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise DecisionRefusedError(
            f"Run {workflow_id} has ended; it takes no decision any more."
        ) from error


def _nobody_answers(workflow_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"No worker answers for run {workflow_id} just now; start one with `python -m workers`, "
        "then see with `durable-agents status` whether the run still waits."
    )


async def content_of(settings: Settings, pending: PendingApproval) -> str:
    """The text that a run wants decided.

    Raises:
        DecisionRefusedError: The database holds another text than the run asks about.
    """
    database = Database(database_url(settings))
    try:
        async with database.statement() as connection:
            review = await get_review(connection, pending.review_id)
    finally:
        await database.close()
    if digest_of(review.content, review.revision) != pending.digest:
        raise DecisionRefusedError(
            f"The text of review {pending.review_id} is not the one that the run asks about "
            f"(digest {pending.digest}): it was changed in the database, or DATABASE_URL names "
            "another one. Reject it with --digest to have it revised."
        )
    return review.content


def _show(waiting: Waiting, content: str, *, as_json: bool) -> None:
    """Print the text that waits, and how to decide on exactly this one."""
    pending = waiting.pending
    if as_json:
        facts: Mapping[str, Any] = pending.model_dump(mode="json")
        print_json({"id": waiting.workflow_id, **facts, "content": content})
        return
    until = datetime.fromtimestamp(pending.closes_at, UTC)
    say(content)
    note(f"{waiting.workflow_id} waits for {pending.sentence()} until {until:%Y-%m-%d %H:%M} UTC.")
    command = f"durable-agents decide {waiting.workflow_id} --digest {pending.digest}"
    note(f'`{command} --approve`, or `--reject "what to change"`.')


def _show_beginning(waiting: Waiting, content: str) -> None:
    """Tell on standard error what is decided on."""
    note(f"{waiting.workflow_id} waits for {waiting.pending.sentence()}:")
    note(content[:BEGINNING_CHARS], "")
    if len(content) > BEGINNING_CHARS:
        note(f"[the beginning of {len(content):,} characters]")


if __name__ == "__main__":
    main_of(decide)
