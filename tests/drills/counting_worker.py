"""A worker process with one more kind of job: its effect is a row, so that effects are counted.

`python -m tests.drills.counting_worker` takes what `python -m workers.process` takes.
"""

import asyncio
import os
from typing import cast

from sqlalchemy import text

from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.jobs.kinds import JOB_KINDS
from durable_agents.models.base import Record
from durable_agents.models.errors import StaleJobError
from durable_agents.models.jobs import JobRetry
from workers.process import main

BEGUN, DONE, REFUSED = "begun", "done", "refused"
TABLE = "drill_marks"

_MARK = text(
    f"INSERT INTO {TABLE} (job_id, fence, pid, mark) VALUES (:job_id, :fence, :pid, :mark)"  # noqa: S608 - a constant
)


class CountPayload(Record):
    """How long the work takes before its effect."""

    seconds: float = 0.2


async def _run(payload: CountPayload, context: JobContext) -> None:
    # Of a job that does not heed a cancel the fence alone protects.
    await asyncio.shield(_work(payload, context))


async def _work(payload: CountPayload, context: JobContext) -> None:
    await _mark(context, BEGUN)
    await asyncio.sleep(payload.seconds)
    try:
        async with context.transaction() as connection:
            await connection.execute(_MARK, _values(context, DONE))
            await context.finish(connection)
    except StaleJobError:
        await _mark(context, REFUSED)
        raise


async def _mark(context: JobContext, mark: str) -> None:
    async with context.database.statement() as connection:
        await connection.execute(_MARK, _values(context, mark))


def _values(context: JobContext, mark: str) -> dict[str, object]:
    run = context.run
    return {"job_id": run.job_id, "fence": run.fence, "pid": os.getpid(), "mark": mark}


# One try: those that are lost with a worker do not count.
COUNTED = JobKind("count_effect", CountPayload, _run, retry=JobRetry(attempts=1))

if __name__ == "__main__":
    cast(dict[str, JobKind], JOB_KINDS)[COUNTED.name] = COUNTED
    main()
