"""Which runs the server still keeps."""

import secrets
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from durable_agents.clients.kept_runs import (
    ended_runs_of,
    history_retention,
    kept_runs,
    open_runs_of,
    runs_behind,
)
from durable_agents.clients.resets import plan_reset, reset
from starters.inspect import find_run
from starters.running import USER_ID
from tests.starters.parents import QUEUE, Chain, Handle, Part, parents
from tests.workflows import runs


async def test_a_chain_is_kept_by_its_first_run_and_by_every_other(client: Client) -> None:
    async with parents(client):
        handle: Handle = await client.start_workflow(
            Chain.run, Part(number=2), id=f"chain-{secrets.token_hex(4)}", task_queue=QUEUE
        )
        latest: Handle = client.get_workflow_handle(handle.id)

        async def in_last() -> bool:
            return "part-3" in await runs.activities_of(latest)

        await runs.until(in_last, "the last run is there", within=20)
        last = (await latest.describe()).run_id

        async def known() -> bool:
            found = await kept_runs(client, timedelta(days=30))
            return {handle.first_execution_run_id, last} <= found

        await runs.until(known, "both are listed", within=20)
        await latest.terminate()


async def test_a_run_is_kept_with_every_run_that_it_was_reset_from(client: Client) -> None:
    async with parents(client):
        handle: Handle = await client.start_workflow(
            Chain.run, Part(number=3), id=f"chain-{secrets.token_hex(4)}", task_queue=QUEUE
        )
        latest: Handle = client.get_workflow_handle(handle.id)

        async def begun() -> bool:
            return "part-3" in await runs.activities_of(latest)

        made = {handle.first_execution_run_id}
        for _ in range(2):
            await runs.until(begun, "the step is asked for", within=20)
            plan = await plan_reset(client, await find_run(client, handle.id), "part-3")
            made.add(await reset(client, plan, reason="a test"))

        async def known() -> bool:
            # The runs that are left behind are gone from the server when theirs is over.
            found = await runs_behind(client, handle.id, (await latest.describe()).run_id)
            return made <= found

        await runs.until(known, "all three are known", within=20)
        await latest.terminate()


@pytest.mark.parametrize("user", ["o'neil", "a\\b", 'x" OR UserId != "', "''", "%", "a\\'b"])
async def test_runs_are_found_for_whomever_they_work(client: Client, user: str) -> None:
    user = f"{user}{secrets.token_hex(4)}{user}"
    handle = await client.start_workflow(
        "DebugWorkflow",
        {},
        id=f"debug-{secrets.token_hex(4)}",
        task_queue="nobody-works-here",
        search_attributes=TypedSearchAttributes([SearchAttributePair(USER_ID, user)]),
    )

    async def found() -> bool:
        return await open_runs_of(client, user) == [handle.id]

    await runs.until(found, "the run is listed")
    assert await ended_runs_of(client, user) == []
    await handle.terminate()

    async def ended() -> bool:
        return await ended_runs_of(client, user) == [(handle.id, handle.first_execution_run_id)]

    await runs.until(ended, "the run is listed as ended")


async def test_the_server_tells_how_long_it_keeps_histories(client: Client) -> None:
    assert await history_retention(client) >= timedelta(days=1)
