"""Restarts of runs with children, with a step beside them, and with later runs."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.clients.resets import reset
from durable_agents.models.errors import InputError
from starters.inspect import find_run
from starters.restart import restart_one_of_many
from tests.starters.parents import QUEUE, Beside, Chain, Handle, Parent, Part, parents
from tests.starters.restarting import chosen, given, planned, restarted
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
async def parental(client: Client) -> AsyncIterator[Client]:
    async with parents(client):
        yield client


async def test_an_activity_that_was_under_way_runs_again(parental: Client) -> None:
    handle: Handle = await parental.start_workflow(
        Beside.run, Part(), id=f"beside-{secrets.token_hex(4)}", task_queue=QUEUE
    )
    before: list[str] = await runs.result_of(handle)

    plan = await planned(parental, handle, "second")
    again = await restarted(parental, handle, "second")
    after: list[str] = await runs.result_of(again)

    assert plan.again == ["second", "held"]
    assert after[0] == before[0]
    assert after[1:] == [f"second@{again.run_id}", f"held@{again.run_id}"]


async def start_parent(client: Client) -> tuple[Handle, Handle]:
    """A parent whose child waits, after its other steps."""
    handle: Handle = await client.start_workflow(
        Parent.run, Part(), id=f"parent-{secrets.token_hex(4)}", task_queue=QUEUE
    )
    child: Handle = client.get_workflow_handle(f"{handle.id}/child")

    async def both_done() -> bool:
        return "second" in await runs.activities_of(handle)

    await runs.until(both_done, "the steps beside the child are done", within=20)
    return handle, child


async def test_a_child_that_is_at_work_keeps_its_parent_from_starting_it_again(
    parental: Client,
) -> None:
    handle, child = await start_parent(parental)

    with pytest.raises(InputError, match=f"its child {child.id} is still at work"):
        await planned(parental, handle, "before")
    again = await restarted(parental, handle, "second")
    await child.signal("release")

    result: list[str] = await runs.result_of(again)
    assert result[2] == (await child.describe()).run_id


async def test_a_child_that_has_ended_is_started_again_where_its_step_is_done_again(
    parental: Client,
) -> None:
    handle, child = await start_parent(parental)
    await child.signal("release")
    before: list[str] = await runs.result_of(handle)

    kept = await restarted(parental, handle, "after")
    with_old: list[str] = await runs.result_of(kept)
    again = await restarted(parental, handle, child.id)
    new: Any = await _another_run(child, before[2])
    await child.signal("release")

    assert with_old[2] == before[2]
    assert (await runs.result_of(again))[2] == new


async def test_a_child_that_ended_after_that_point_tells_the_new_run_its_result(
    parental: Client,
) -> None:
    handle, child = await start_parent(parental)
    await child.signal("release")
    before: list[str] = await runs.result_of(handle)

    again = await restarted(parental, handle, "second")
    after: list[str] = await runs.result_of(again)

    assert after[2] == before[2]
    assert after[3] == f"after@{again.run_id}"


async def _another_run(child: Handle, before: str) -> str:
    now = before

    async def begun() -> bool:
        nonlocal now
        now = (await child.describe()).run_id
        return now != before

    await runs.until(begun, "the child is started again", within=20)
    return now


async def test_a_child_that_is_reset_tells_its_parent_what_the_new_run_says(
    parental: Client,
) -> None:
    handle, child = await start_parent(parental)

    async def prepared() -> bool:
        return "prepare" in await runs.activities_of(child)

    await runs.until(prepared, "the child is at work", within=20)
    anew = await restarted(parental, child, "prepare")
    await anew.signal("release")

    assert (await runs.result_of(handle))[2] == anew.run_id


async def test_a_parent_does_not_wait_for_a_child_that_ended_when_nobody_listened(
    parental: Client,
) -> None:
    handle, child = await start_parent(parental)
    await handle.terminate()

    async def ended() -> bool:
        return (await child.describe()).status == WorkflowExecutionStatus.TERMINATED

    await runs.until(ended, "the child is ended with its parent", within=20)

    with pytest.raises(InputError, match="has ended since"):
        await planned(parental, handle, "second")
    assert (await planned(parental, handle, child.id)).step.kind == "child workflow"


async def test_a_step_in_an_earlier_run_of_a_chain_is_found_and_its_later_runs_end(
    parental: Client,
) -> None:
    handle: Handle = await parental.start_workflow(
        Chain.run, Part(number=1), id=f"chain-{secrets.token_hex(4)}", task_queue=QUEUE
    )
    latest: Handle = parental.get_workflow_handle(handle.id)

    async def in_third() -> bool:
        return "part-3" in await runs.activities_of(latest)

    await runs.until(in_third, "the third run is there", within=20)
    third = (await latest.describe()).run_id

    plan = await planned(parental, handle, "part-1")
    with pytest.raises(InputError, match="2 later runs are left behind"):
        await restart_one_of_many(given(parental, "part-1"), chosen(handle))
    new = await reset(parental, plan, reason="a test")

    ended = await parental.get_workflow_handle(handle.id, run_id=third).describe()
    assert (plan.run.run_id, len(plan.newer)) == (handle.first_execution_run_id, 2)
    assert ended.status == WorkflowExecutionStatus.TERMINATED
    assert (await find_run(parental, handle.id)).raw_info.first_run_id == plan.run.run_id
    assert new != third
    await latest.terminate()
