"""Jobs are put in once and whole, or are refused; those of a pool are listed and counted."""

import asyncio
import math
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, event, text

from durable_agents.db import batches, jobs, pools
from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.models.jobs import JobRetry, NewJob, OnComplete
from tests.db.pooling import Lane, enqueue, find, job, new_pool, pool_name


async def test_what_is_put_in_is_what_is_stored(database: Database) -> None:
    pool = await new_pool(database)
    new = NewJob(
        kind="noop",
        payload={"text": "héllo", "list": [1, None]},
        key="k-1",
        tenant="t-1",
        priority=2,
        about="one",
        retry=JobRetry(attempts=7),
        on_complete=OnComplete(workflow_id="w", signal="s", context={"a": 1}),
    )

    ids = await enqueue(database, pool, [new], "b-1")

    found = await find(database, ids[0])
    assert (found.key, found.tenant, found.priority, found.about) == ("k-1", "t-1", 2, "one")
    assert (found.status, found.batch, found.failures) == ("queued", "b-1", 0)
    async with database.statement() as connection:
        statement = text("SELECT payload, retry, on_complete FROM jobs WHERE job_id = :id")
        row = (await connection.execute(statement, {"id": ids[0]})).one()
    assert row.payload == new.payload
    assert row.retry == {"attempts": 7}
    assert OnComplete.model_validate(row.on_complete) == new.on_complete


async def test_ten_thousand_jobs_go_in_within_one_transaction(database: Database) -> None:
    pool = await new_pool(database)

    ids = await enqueue(database, pool, [job(key=f"k-{n}") for n in range(10_000)])

    assert ids == sorted(set(ids))
    async with database.statement() as connection:
        assert (await pools.status(connection, pool)).counts == {"queued": 10_000}


async def test_large_payloads_go_in_portions_that_a_statement_can_take(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BYTES_AT_ONCE", 10_000)
    monkeypatch.setattr(jobs, "BYTES_KEPT", 30_000)
    pool, sizes = await new_pool(database), list[int]()

    def note(_c: object, _k: object, _s: str, parameters: Any, *_: object) -> None:
        sizes.extend(len(row["rows"]) for row in [parameters] if "rows" in row)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        new = [job(payload={"n": n, "text": "x" * 3000}) for n in range(20)]
        ids = await enqueue(database, pool, new)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len(sizes) == 7
    assert max(sizes) < 12_000  # with what is beside the payloads
    async with database.statement() as connection:
        query = text("SELECT (payload->>'n')::int FROM jobs WHERE pool = :pool ORDER BY job_id")
        assert list(await connection.scalars(query, {"pool": pool})) == list(range(20))
    assert await (await Lane(database, pool).begin()).drain() == ids


async def test_a_key_makes_a_job_once(database: Database) -> None:
    pool = await new_pool(database)
    first = await enqueue(database, pool, [job(key="a"), job(key="b"), job(key="a")])

    again = await enqueue(database, pool, [job(key="b"), job(key="c"), job()])

    assert (len(first), len(again)) == (2, 2)
    other = await new_pool(database)
    assert len(await enqueue(database, other, [job(key="a")])) == 1


async def test_one_key_from_many_at_once_makes_one_job(database: Database) -> None:
    pool = await new_pool(database)
    new = [job(key=f"k-{n}", tenant=f"t-{n % 3}") for n in range(20)]

    given = await asyncio.gather(
        *(enqueue(database, pool, new if n % 2 else new[::-1]) for n in range(8))
    )

    assert sum(map(len, given)) == 20


async def test_nothing_goes_in_when_the_transaction_fails(database: Database) -> None:
    pool = await new_pool(database)

    with pytest.raises(InputError, match="job 2 of 2"):
        await enqueue(database, pool, [job(), job(payload="x" * 300_000)])

    async with database.statement() as connection:
        assert (await pools.status(connection, pool)).counts == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "workflow:"}, "Name the type of the workflow"),
        ({"timeout_s": 1e-9}, "greater than or equal to 0.001"),
        ({"on_complete": {}}, "either a workflow_id and a signal, or an activity"),
        ({"on_complete": {"workflow_id": "w"}}, "either a workflow_id and a signal"),
        ({"on_complete": {"activity": "a", "signal": "s"}}, "either a workflow_id and a signal"),
        ({"on_complete": {"activity": "a", "context": "x" * 20_000}}, "20,002 bytes, and 16,384"),
        ({"on_complete": {"activity": "a", "context": {1, 2}}}, "The context is not JSON"),
    ],
    ids=str,
)
def test_what_would_hold_up_a_lane_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        job(**values)


async def test_texts_that_the_database_cannot_keep_are_cleaned(database: Database) -> None:
    pool = await new_pool(database)
    told = OnComplete(workflow_id="w", signal="s", context={"a": "b\x00"})

    ids = await enqueue(database, pool, [job(about="a\x00b", key="k\x00", on_complete=told)])
    again = await enqueue(database, pool, [job(key="k\x00")])

    assert (await find(database, ids[0])).about == "a\ufffdb"
    assert again == []


async def test_a_sealed_batch_takes_no_more_jobs_and_knows_those_it_has(
    database: Database,
) -> None:
    pool = await new_pool(database)
    batch = f"batch-{pool}"
    async with database.transaction() as connection:
        await batches.open_batch(connection, batch, pool=pool)
    await enqueue(database, pool, [job(key="a")], batch)
    async with database.statement() as connection:
        await batches.seal(connection, batch)

    again = await enqueue(database, pool, [job(key="a")], batch)
    with pytest.raises(InputError, match=f"Batch {batch} is sealed"):
        await enqueue(database, pool, [job(key="a"), job(key="b")], batch)

    assert again == []
    async with database.statement() as connection:
        assert await batches.counts(connection, batch) == {"queued": 1}


async def test_a_batch_of_another_pool_takes_no_jobs(database: Database) -> None:
    pool, other = await new_pool(database), await new_pool(database)
    async with database.transaction() as connection:
        await batches.open_batch(connection, f"batch-{pool}", pool=pool)

    with pytest.raises(InputError, match=f"are in pool {pool}"):
        await enqueue(database, other, [job()], f"batch-{pool}")


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"text": "x" * 10_000_000}, "has 10,000,011 bytes, and a pool takes 262,144 at most"),
        ({"number": math.nan}, "is not JSON"),
        ({"text": "a\x00b"}, "contains a NUL character"),
        ({"set": {1}}, "is not JSON"),
    ],
    ids=["10 MB", "nan", "nul", "set"],
)
async def test_a_payload_that_does_not_fit_is_refused(
    database: Database, payload: object, said: str
) -> None:
    pool = await new_pool(database)

    with pytest.raises(InputError, match=said):
        await enqueue(database, pool, [job(payload=payload)])


async def test_a_pool_that_is_not_there_is_named_with_those_that_are(database: Database) -> None:
    await new_pool(database)
    name = pool_name()

    with pytest.raises(NotFoundError, match=rf"There is no pool {name}\. There are: .*test-"):
        await enqueue(database, name, [job()])


@pytest.mark.parametrize("number", [-1, 1001])
async def test_a_parallelism_that_cannot_be_is_refused(database: Database, number: int) -> None:
    pool = await new_pool(database)

    async with database.statement() as connection:
        with pytest.raises(InputError, match=f"cannot run {number} jobs at once"):
            await pools.configure(connection, pool, max_parallelism=number)
        with pytest.raises(InputError, match=f"cannot run {number} jobs at once"):
            await pools.ensure_pool(connection, pool_name(), max_parallelism=number)


async def test_a_pool_that_is_there_is_left_as_it_is(database: Database) -> None:
    pool = await new_pool(database, max_parallelism=3)

    async with database.statement() as connection:
        await pools.ensure_pool(connection, pool, max_parallelism=50)
        found = await pools.find_pool(connection, pool)

    assert (found.max_parallelism, found.is_paused, found.retention_s) == (3, False, 604_800)


async def test_jobs_are_listed_by_status_and_page(database: Database) -> None:
    pool = await new_pool(database)
    ids = await enqueue(database, pool, [job() for _ in range(5)], "batch-1")
    lane = await Lane(database, pool).begin()
    await lane.fail(await lane.claim(), is_final=True, error_type="InputError", error="No.")

    async with database.statement() as connection:
        failed = await jobs.list_jobs(connection, pool, status="failed")
        page = await jobs.list_jobs(connection, pool, batch="batch-1", after=ids[1], limit=2)

    assert [(f.job_id, f.error_type, f.error) for f in failed] == [(ids[0], "InputError", "No.")]
    assert [row.job_id for row in page] == ids[2:4]


async def test_the_status_counts_per_tenant(database: Database) -> None:
    pool = await new_pool(database)
    await enqueue(database, pool, [job(tenant="a"), job(tenant="a"), job(tenant="b")])
    await (await Lane(database, pool).begin()).claim()

    async with database.statement() as connection:
        status = await pools.status(connection, pool)
        listed = await pools.list_pools(connection)

    assert status.counts == {"queued": 2, "running": 1}
    assert [(c.tenant, c.status, c.count) for c in status.tenants] == [
        ("a", "queued", 1),
        ("a", "running", 1),
        ("b", "queued", 1),
    ]
    assert next(p for p in listed if p.pool == pool).counts == status.counts
