"""A job's effect and result are written once, by whoever holds the job."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from activities.jobs import JobActivities
from activities.pool import PoolActivities
from durable_agents.db import reports
from durable_agents.db.engine import Database
from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.models.base import Record
from durable_agents.models.errors import InputError, NotFoundError, StaleJobError
from durable_agents.models.jobs import ClaimedJob, EnqueueInput, JobRun, NewJob, OnComplete
from durable_agents.models.work_pool import JobWorkflow, LaneReport
from durable_agents.runtime.settings import Settings
from tests.activities.performing import new_run, perform
from tests.db.pooling import Lane, enqueue, find, lanes_of, new_pool, pool_name, run_of
from workers.resources import Resources


class Note(Record):
    """What to note."""

    text: str


EFFECT = text(
    "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:task, 'u-1', 'An effect', :message)"
)


@pytest.fixture
async def resources(settings: Settings) -> AsyncIterator[Resources]:
    opened = Resources.open(settings)
    yield opened
    await opened.close()


async def run_job(resources: Resources, kind: JobKind, held: ClaimedJob) -> None:
    """Run a job as the run of the lane that claimed it has it run."""
    (run,) = JobActivities(resources.job_services(), {kind.name: kind}).activities()
    await perform(run, run_of(held), run=await lane_run(resources.database, held.job_id))


async def lane_run(database: Database, job_id: int) -> str:
    """The run of the lane that holds a job."""
    query = text("SELECT split_part(claim, '/', 1) FROM jobs WHERE job_id = :id")
    async with database.statement() as connection:
        return str(await connection.scalar(query, {"id": job_id}))


async def claimed(database: Database, kind: JobKind, payload: Any, **values: Any) -> ClaimedJob:
    pool = await new_pool(database)
    await enqueue(database, pool, [NewJob(kind=kind.name, payload=payload, **values)])
    return await (await Lane(database, pool).begin()).claim()


async def test_what_a_job_returns_is_its_result(database: Database, resources: Resources) -> None:
    seen: list[JobContext] = []

    async def run(payload: Note, context: JobContext) -> Note:
        seen.append(context)
        return Note(text=payload.text.upper())

    kind = JobKind("note", Note, run)
    held = await claimed(database, kind, {"text": "a"}, tenant="t-1")
    await run_job(resources, kind, held)

    found = await find(database, held.job_id)
    assert (found.status, found.result) == ("done", {"text": "A"})
    assert (seen[0].job_id, seen[0].pool, seen[0].tenant) == (held.job_id, found.pool, "t-1")


async def test_a_second_delivery_runs_nothing(database: Database, resources: Resources) -> None:
    times: list[str] = []

    async def run(payload: Note, context: JobContext) -> None:
        times.append(payload.text)

    kind = JobKind("note", Note, run)
    held = await claimed(database, kind, {"text": "a"})
    await run_job(resources, kind, held)

    with pytest.raises(StaleJobError):
        await run_job(resources, kind, held)
    assert times == ["a"]


async def test_a_worker_that_froze_and_woke_late_has_no_effect(
    database: Database, resources: Resources
) -> None:
    frozen, woken = asyncio.Event(), asyncio.Event()

    async def run(payload: Note, context: JobContext) -> Note:
        if context.failures == 0:
            frozen.set()
            await woken.wait()
        async with context.transaction() as connection:
            fence = str(context.run.fence)
            values = {"task": f"job-{context.job_id}/{fence}", "message": fence}
            await connection.execute(EFFECT, values)
            await context.finish(connection, Note(text=fence))
        return Note(text="not looked at")

    kind = JobKind("note", Note, run)
    pool = await new_pool(database)
    await enqueue(database, pool, [NewJob(kind="note", payload={"text": "a"})])
    lane, other = await lanes_of(database, pool, 2)
    stale = await lane.claim()
    late = asyncio.ensure_future(run_job(resources, kind, stale))
    await frozen.wait()
    await lane.fail(stale, error_type="TimeoutError", at_once=True)
    held = await other.claim()
    await run_job(resources, kind, held)
    woken.set()

    with pytest.raises(StaleJobError):
        await late
    async with database.statement() as connection:
        query = text("SELECT body FROM tasks WHERE task_id LIKE :task")
        effects = await connection.scalars(query, {"task": f"job-{held.job_id}/%"})
        assert list(effects) == [str(held.fence)]
    assert (await find(database, held.job_id)).result == {"text": str(held.fence)}


async def test_a_lane_that_was_reset_takes_its_job_over_from_its_run_before(
    database: Database, resources: Resources
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def run(payload: Note, context: JobContext) -> Note:
        if not begun.is_set():
            begun.set()
            await goes_on.wait()
        return Note(text=str(context.run.fence))

    kind = JobKind("note", Note, run)
    held = await claimed(database, kind, {"text": "a"})
    before = asyncio.ensure_future(run_job(resources, kind, held))
    await begun.wait()
    (activity,) = JobActivities(resources.job_services(), {"note": kind}).activities()
    await perform(activity, run_of(held), run=new_run())  # as the history of the new run says
    goes_on.set()

    with pytest.raises(StaleJobError):
        await before
    found = await find(database, held.job_id)
    assert (found.status, found.result) == ("done", {"text": str(held.fence + 1)})


async def test_what_a_lane_that_was_reset_reports_of_its_job_counts(
    database: Database, resources: Resources
) -> None:
    async def run(payload: Note, context: JobContext) -> Note:
        raise NotFoundError("There is nothing.")

    kind, reset_run = JobKind("note", Note, run), new_run()
    held = await claimed(database, kind, {"text": "a"})
    (activity,) = JobActivities(resources.job_services(), {"note": kind}).activities()
    with pytest.raises(NotFoundError):
        await perform(activity, run_of(held), run=reset_run)
    report = LaneReport(job_id=held.job_id, fence=held.fence, outcome="failed", is_final=True)

    async with database.transaction() as connection:
        await reports.settle(connection, report, lane_run="the run before")
    before = await find(database, held.job_id)
    async with database.transaction() as connection:
        await reports.settle(connection, report, lane_run=reset_run)

    assert before.status == "running"
    assert (await find(database, held.job_id)).status == "failed"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_number_that_is_none_is_null_in_a_result(
    database: Database, resources: Resources, number: float
) -> None:
    class Measured(Record):
        numbers: tuple[float, ...]
        said: str = "a\x00b"

    async def run(payload: Note, context: JobContext) -> Measured:
        return Measured(numbers=(1.5, number))

    kind = JobKind("measure", Note, run)
    held = await claimed(database, kind, {"text": "a"})

    await run_job(resources, kind, held)

    found = await find(database, held.job_id)
    assert found.result == {"numbers": [1.5, None], "said": "a\ufffdb"}


async def test_a_payload_that_does_not_fit_its_kind_is_a_final_error(
    database: Database, resources: Resources
) -> None:
    async def run(payload: Note, context: JobContext) -> None:
        raise AssertionError("it ran")

    kind = JobKind("note", Note, run)
    held = await claimed(database, kind, {"words": 1})

    with pytest.raises(InputError, match=f"payload of job {held.job_id} does not fit its kind"):
        await run_job(resources, kind, held)


async def test_the_lanes_next_job_comes_with_the_end_of_this_one(
    database: Database, resources: Resources
) -> None:
    async def run(payload: Note, context: JobContext) -> None: ...

    kind = JobKind("note", Note, run)
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [NewJob(kind="note", payload={"text": "a"})] * 3)
    lane = await Lane(database, pool).begin()
    held = await lane.claim()
    asked = JobRun(job_id=held.job_id, fence=1, claim=f"{lane.run_id}/next", turn=10**9)
    (run_job_activity,) = JobActivities(resources.job_services(), {"note": kind}).activities()

    given = await perform(run_job_activity, asked, run=new_run())
    with pytest.raises(StaleJobError):
        await perform(run_job_activity, asked, run=new_run())
    again = await lane.claimed("next", turn=10**9 + 1)

    assert given is not None
    assert (given.job_id, given.fence) == (ids[1], 1)
    assert again.job == given
    assert (await find(database, ids[2])).status == "queued"


def test_a_kind_makes_its_jobs() -> None:
    async def run(payload: Note, context: JobContext) -> None: ...

    kind = JobKind("note", Note, run, about=lambda note: note.text)

    new = kind.new(Note(text="a"), key="k", priority=1)

    assert (new.kind, new.payload, new.key, new.about) == ("note", {"text": "a"}, "k", "a")
    assert (new.timeout_s, new.priority) == (300, 1)
    with pytest.raises(TypeError, match="takes Note"):
        kind.new(InputLike())


class InputLike(Record):
    """Not a note."""


async def end(run: JobWorkflow) -> None:
    raise AssertionError(run)


async def test_a_workflow_puts_its_jobs_in_once(database: Database) -> None:
    woken: list[str] = []

    async def wake(pool: str) -> int:
        woken.append(pool)
        return 1

    pool, run = pool_name(), new_run()
    steps = PoolActivities(database, wake, end)
    request = EnqueueInput(
        pool=pool,
        jobs=(NewJob(kind="noop"), NewJob(kind="noop")),
        max_parallelism=3,
        batch=f"batch-{pool}",
        on_complete=OnComplete(workflow_id="w", signal="s"),
    )

    first = await perform(steps.enqueue_jobs, request, run=run)
    again = await perform(steps.enqueue_jobs, request, run=run, attempt=2)
    more = request.model_copy(update={"batch": f"other-{pool}"})
    other = await perform(steps.enqueue_jobs, more, run=run, step="other")

    assert [first.count, again.count, other.count] == [2, 0, 2]
    assert woken == [pool] * 3


async def test_a_workflow_that_names_an_unknown_pool_is_told_so(database: Database) -> None:
    async def wake(pool: str) -> int:
        raise AssertionError(pool)

    request = EnqueueInput(pool=pool_name(), jobs=(NewJob(kind="noop"),))

    with pytest.raises(NotFoundError, match="There is no pool"):
        await perform(PoolActivities(database, wake, end).enqueue_jobs, request, run=new_run())
