"""Which runs the server still keeps."""

import secrets
from datetime import timedelta

from temporalio.client import Client

from durable_agents.clients.kept_runs import history_retention, kept_runs
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


async def test_the_server_tells_how_long_it_keeps_histories(client: Client) -> None:
    assert await history_retention(client) >= timedelta(days=1)
