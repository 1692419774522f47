"""Makes jobs, and waits for what becomes of them and of their lanes."""

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.db import jobs, pools
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.noop import NOOP, NoopPayload
from durable_agents.models.jobs import JobRow, NewJob
from tests.workflows import runs


def noop(seconds: float = 0, failures: int = 0, **options: Any) -> NewJob:
    is_final = bool(options.pop("is_final", False))
    payload = NoopPayload(seconds=seconds, failures=failures, is_final=is_final)
    return NOOP.new(payload, **options)


async def job_of(database: Database, job_id: int) -> JobRow:
    async with database.statement() as connection:
        return await jobs.find_job(connection, job_id)


async def counts_of(database: Database, pool: str) -> dict[str, int]:
    async with database.statement() as connection:
        return (await pools.status(connection, pool)).counts


async def until_counts(database: Database, pool: str, **wanted: int) -> None:
    async def there() -> bool:
        return await counts_of(database, pool) == wanted

    try:
        await runs.until(there, f"{pool}: {wanted}", within=30)
    except AssertionError as error:
        raise AssertionError(f"{error}; {await counts_of(database, pool)}") from None


async def until_status(database: Database, job_id: int, status: str) -> JobRow:
    async def there() -> bool:
        return (await job_of(database, job_id)).status == status

    await runs.until(there, f"job {job_id} is {status}", within=30)
    return await job_of(database, job_id)


async def until_asleep(client: Client, pool: str, lane: int = 0) -> None:
    handle = client.get_workflow_handle(lanes.lane_id(pool, lane))

    async def there() -> bool:
        return (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED

    await runs.until(there, f"lane {lane} of {pool} ends", within=20)


async def first_task_of(handle: Any) -> int:
    """The event that ended a run's first workflow task: to what it is reset."""
    found: list[int] = []

    async def there() -> bool:  # what its steps did in the database may be seen before
        found[:] = [
            event.event_id
            for event in await runs.events_of(handle)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        return bool(found)

    await runs.until(there, "the first workflow task has ended")
    return found[0]
