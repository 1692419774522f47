"""F3 with the real server, the real database, and the simulator as the model."""

import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db import batches, jobs
from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.jobs.documents import add_documents, counts_of, open_documents
from durable_agents.models.jobs import Completion, JobRow
from durable_agents.models.process_documents import (
    MOST_FAILURES,
    BatchCounts,
    DocumentBatchInput,
    DocumentBatchResult,
    DocumentJobs,
)
from durable_agents.models.status import Progress
from tests.db.pooling import pool_name
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")

SAMPLES = ("refund-policy", "warranty", "shipping")
HANG: dict[str, Any] = {"kind": "hang", "times": -1}


async def start(client: Client, *ids: str, **options: Any) -> WorkflowHandle[Any, Any]:
    given: dict[str, Any] = {"document_ids": ids, "pool": pool_name(), **options}
    request = DocumentBatchInput.model_validate(given)
    return await runs.start(
        client, "DocumentBatchWorkflow", request, result_type=DocumentBatchResult
    )


async def new_batch(
    database: Database, pool: str, ids: Sequence[str], *, sealed: bool = True
) -> str:
    """A batch as the command makes one, before anybody waits for it."""
    batch, how = f"documents/{secrets.token_hex(6)}", DocumentJobs(pool=pool)
    async with database.transaction() as connection:
        await open_documents(connection, batch, how)
        await add_documents(connection, batch, ids, how)
        if sealed:
            await batches.seal(connection, batch)
    return batch


async def jobs_of(database: Database, pool: str) -> list[JobRow]:
    async with database.statement() as connection:
        return await jobs.list_jobs(connection, pool, limit=1000)


async def counted(database: Database, batch: str) -> BatchCounts:
    async with database.statement() as connection:
        return await counts_of(connection, batch)


async def test_all_documents_are_analysed_and_an_unknown_one_is_a_failure_with_its_reason(
    client: Client, database: Database
) -> None:
    pool = pool_name()

    handle = await start(client, *SAMPLES, "no-such-document", pool=pool)
    result = await runs.result_of(handle)

    assert (result.total, result.done, result.failed, result.cancelled) == (4, 3, 1, 0)
    (failure,) = result.failures
    assert (failure.document_id, failure.error_type) == ("no-such-document", "NotFoundError")
    assert failure.reason.startswith("There is no document no-such-document")
    assert (result.pool, result.stopped, result.left) == (pool, "", 0)
    rows = await jobs_of(database, pool)
    assert {row.about for row in rows} == {*SAMPLES, "no-such-document"}
    assert {row.status for row in rows if row.about in SAMPLES} == {"done"}
    assert (await runs.status_of(handle)).progress == Progress(done=3, failed=1)


async def test_a_document_that_is_named_twice_is_analysed_once(client: Client) -> None:
    result = await runs.result_of(await start(client, "warranty", "warranty", " warranty "))

    assert (result.total, result.done) == (1, 1)


async def test_no_more_run_at_once_than_the_pool_allows(
    client: Client, database: Database, simulator: Simulator
) -> None:
    pool = pool_name()

    async with simulator.faults("up to five topics", HANG):
        handle = await start(client, *SAMPLES, pool=pool, max_parallelism=2, deadline_s=30)

        async def two_run() -> bool:
            rows = await jobs_of(database, pool)
            return sorted(row.status for row in rows) == ["queued", "running", "running"]

        await runs.until(two_run, "two of three run", within=20)
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert {row.status for row in await jobs_of(database, pool)} == {"cancelled"}
    assert (await runs.status_of(handle)).progress == Progress(cancelled=3)


async def test_at_the_deadline_the_rest_is_cancelled_and_what_is_done_is_told(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word, pool = runs.token(), pool_name()
    slow = f"slow-{word}"
    statement = text(
        "INSERT INTO documents (document_id, title, source, content, content_hash)"
        " VALUES (:id, :id, 'test', :content, md5(:content))"
    )
    async with database.statement() as connection:
        values = {"id": slow, "content": f"The depot {word} opens late. " * 5}
        await connection.execute(statement, values)

    async with simulator.faults(word, HANG):
        handle = await start(client, "warranty", slow, pool=pool, deadline_s=6)
        result = await runs.result_of(handle)

    assert (result.total, result.done, result.cancelled, result.left) == (2, 1, 1, 0)
    assert result.stopped == "deadline"
    assert {row.about: row.status for row in await jobs_of(database, pool)} == {
        "warranty": "done",
        slow: "cancelled",
    }


async def test_many_documents_are_a_batch_and_history_does_not_grow_with_them(
    client: Client, database: Database
) -> None:
    pool = pool_name()
    unknown = [f"unknown-{number}" for number in range(MOST_FAILURES + 10)]
    batch = await new_batch(database, pool, [*unknown, "warranty"])

    handle = await start(client, pool=pool, batch=batch)
    result = await runs.result_of(handle)

    assert (result.batch, result.total, result.done) == (batch, MOST_FAILURES + 11, 1)
    assert (result.failed, len(result.failures)) == (MOST_FAILURES + 10, MOST_FAILURES)
    events = await runs.events_of(handle)
    assert len(events) < 150
    assert sum(event.ByteSize() for event in events[:-8]) < 30_000


async def test_a_run_waits_until_a_batch_is_sealed(client: Client, database: Database) -> None:
    pool = pool_name()
    batch = await new_batch(database, pool, ["warranty"], sealed=False)
    handle = await start(client, pool=pool, batch=batch)

    async def done() -> bool:
        return (await counted(database, batch)).done == 1

    await runs.until(done, "the document is done", within=20)
    await handle.signal("batch_complete", Completion(pool=pool))
    await runs.until_step(handle, "process documents")
    async with database.transaction() as connection:
        await add_documents(connection, batch, ["shipping"], DocumentJobs(pool=pool))
        await batches.seal(connection, batch)
    await lanes.wake(client, database, pool)
    result = await runs.result_of(handle)

    assert (result.total, result.done) == (2, 2)


async def test_an_unknown_batch_is_refused(client: Client) -> None:
    kind, message = await runs.failure_of(await start(client, batch="no-such-batch"))

    assert (kind, message) == ("NotFoundError", "There is no batch no-such-batch.")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"document_ids": ["a"], "batch": "b"},
        {"document_ids": [""]},
        {"document_ids": ["a"] * 201},
        {"document_ids": ["a"], "pool": "Not A Pool"},
        {"document_ids": ["a"], "max_parallelism": -1},
    ],
    ids=str,
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: dict[str, Any]
) -> None:
    handle = await runs.start(client, "DocumentBatchWorkflow", given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
