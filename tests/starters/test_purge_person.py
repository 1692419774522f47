"""Whose data is not deleted."""

import secrets

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from durable_agents.db.engine import Database
from durable_agents.models.errors import DecisionRefusedError, InputError
from starters.purge_person import purge_person
from starters.running import USER_ID
from tests.workflows import runs


async def purge(client: Client, database: Database, user: str) -> None:
    await purge_person(client, database, user, dry_run=False, yes=True, as_json=False)


async def test_a_person_whose_runs_are_at_work_is_left_alone_and_the_runs_are_named(
    client: Client, database: Database
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    handle = await client.start_workflow(
        "DebugWorkflow",
        {},
        id=f"debug-{user}",
        task_queue="nobody-works-here",
        search_attributes=TypedSearchAttributes([SearchAttributePair(USER_ID, user)]),
    )

    async def refused() -> bool:
        try:
            await purge(client, database, user)
        except DecisionRefusedError as error:
            return handle.id in error.message
        return False

    await runs.until(refused, "the run is listed")
    await handle.terminate()


async def test_runs_without_a_user_are_nobody_s(client: Client, database: Database) -> None:
    with pytest.raises(InputError, match="name a person"):
        await purge(client, database, "-")
