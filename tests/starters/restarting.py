"""Plans restarts of runs, and makes them."""

from typing import Any

from temporalio.client import Client

from durable_agents.clients.resets import ResetPlan, plan_reset, reset
from starters.choosing import Chosen
from starters.inspect import find_run
from starters.restart import Restarting
from tests.starters.parents import Handle


async def planned(client: Client, handle: Handle, step: str) -> ResetPlan:
    return await plan_reset(client, await find_run(client, handle.id), step)


async def restarted(
    client: Client, handle: Handle, step: str, result_type: type[Any] | None = None
) -> Handle:
    new = await reset(client, await planned(client, handle, step), reason="a test")
    return client.get_workflow_handle(handle.id, run_id=new, result_type=result_type)


def given(client: Client, step: str, *, anyway: bool = False) -> Restarting:
    return Restarting(client, step, "", anyway, False, "kim")


def chosen(handle: Handle) -> Chosen:
    return Chosen(handle.id, handle.first_execution_run_id or "", "", "")
