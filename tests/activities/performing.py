"""Performs an activity as an attempt at a step of a run."""

import dataclasses
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from durable_agents.db.engine import Database
from durable_agents.db.threads import StoredMessage, read_conversation
from durable_agents.models.conversation import ThreadHead

Result = TypeVar("Result")


def new_run() -> str:
    """The id of a run that no other test has."""
    return f"run-{secrets.token_hex(8)}"


async def perform(
    activity: Callable[..., Awaitable[Result]],
    given: Any,
    *,
    run: str,
    step: str = "step",
    attempt: int = 1,
) -> Result:
    """Perform an activity."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        activity_id=step,
        workflow_id=f"workflow-of-{run}",
        workflow_run_id=run,
        workflow_type="ReActWorkflow",
        attempt=attempt,
    )
    return await environment.run(activity, given)


async def conversation(database: Database, head: ThreadHead) -> list[StoredMessage]:
    """What can be seen from a head."""
    async with database.statement() as connection:
        return await read_conversation(connection, head.head, latest=40)
