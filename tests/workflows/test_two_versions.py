"""Two workers of different versions on one queue, without build ids."""

import secrets
from functools import partial
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import Worker

from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.progress import trouble_of
from tests.workflows.runs import count_of, events_of, result_of, until
from tests.workflows.two_versions import NAME, QUEUE, After, Before, ChangedInput, Counting

RUNNING = WorkflowExecutionStatus.RUNNING


def worker(client: Client, workflow: type, counting: Counting) -> Worker:
    """A worker that remembers no run, so that each task may go to each worker."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[workflow],
        activities=[counting.count_once],
        max_cached_workflows=0,
        max_concurrent_workflow_tasks=1,
    )


async def is_parked(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether a run has counted and waits to go on."""
    return await count_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) == 2


async def test_a_run_that_meets_code_which_does_not_fit_stands_still_until_code_that_fits_is_back(
    client: Client,
) -> None:
    counting, name = Counting(), secrets.token_hex(6)
    async with worker(client, Before, counting):
        handle = await client.start_workflow(
            NAME, ChangedInput(name=name), id=f"{NAME}-{name}", task_queue=QUEUE
        )
        await until(partial(is_parked, handle), "the run waits")

    async with worker(client, After, counting):
        await handle.signal("go")

        async def has_failed() -> bool:
            kind = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            return await count_of(handle, kind) > 0

        await until(has_failed, "its task fails")

        async def is_told() -> bool:
            return "the code does not fit this run" in await trouble_of(handle)

        await until(is_told, "the trouble is told")
        status = (await handle.describe()).status
    async with worker(client, Before, counting):
        result = await result_of(handle)

    failed = [
        event.workflow_task_failed_event_attributes.failure.message
        for event in await events_of(handle)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]
    assert status == WorkflowExecutionStatus.RUNNING
    assert "Nondeterminism" in failed[0]
    assert result == name
    assert counting.counts == {name: 1}


async def test_of_two_versions_on_one_queue_the_one_that_fits_finishes_a_run_once(
    client: Client, settings: Settings
) -> None:
    counting, names = Counting(), [secrets.token_hex(6) for _ in range(2)]
    other = await connect(settings)  # of one client the SDK lets one worker poll a queue
    async with worker(client, Before, counting):
        handles = [
            await client.start_workflow(
                NAME, ChangedInput(name=name), id=f"{NAME}-{name}", task_queue=QUEUE
            )
            for name in names
        ]
        for handle in handles:
            await until(partial(is_parked, handle), "each waits, begun by the one that fits")
        async with worker(other, After, counting):
            for handle in handles:
                await handle.signal("go")

            async def has_met_both() -> bool:
                kind = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                ended = [(await one.describe()).status != RUNNING for one in handles]
                return all(ended) or any([await count_of(one, kind) for one in handles])

            what = "one that does not fit was asked, or none had to be"
            await until(has_met_both, what, within=30)
    async with worker(client, Before, counting):  # by luck alone it might take a minute
        results = [await result_of(handle) for handle in handles]

    assert results == names
    assert counting.counts == dict.fromkeys(names, 1)
