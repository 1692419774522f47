"""Makes people who may decide, something to decide on, and decisions that are signed."""

from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from durable_agents.clients.signatures import signature_of
from durable_agents.db import people
from durable_agents.db.engine import Database
from durable_agents.models.approval import Decision, PendingApproval
from durable_agents.models.people import Person
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.reviewing import Handle, new_task, start, submit


async def somebody(database: Database, *roles: str) -> Person:
    async with database.statement() as connection:
        return await people.add_user(connection, runs.token(), roles=roles)


async def asking(client: Client, database: Database, **options: Any) -> Handle:
    given = {"asked_by": "author", "decision_deadline_s": 60, **options}
    return await start(client, await new_task(database), **given)


async def signed(
    settings: Settings, handle: Handle, pending: PendingApproval, by: str, **values: Any
) -> Decision:
    """A decision as the page would send it."""
    given = {"verdict": "approve", "digest": pending.digest, "by": by, "via": "page", **values}
    decision = Decision.model_validate(given)
    run_id = handle.first_execution_run_id or ""
    signature = signature_of(
        settings.signing_key.get_secret_value(),
        decision,
        workflow_id=handle.id,
        run_id=run_id,
        edit=decision.edit,
    )
    return decision.model_copy(update={"signature": signature})


async def refused(handle: Handle, decision: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await submit(handle, decision)
    return str(error.value.cause)
