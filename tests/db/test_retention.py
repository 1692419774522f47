"""What is deleted by age, and what stays whatever its age."""

import uuid
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from durable_agents.db.retention import KINDS, purge_table
from tests.db.kept import OLD, YOUNG, Rows, empty_rows


@pytest.fixture(scope="module")
async def rows(database_url: str) -> AsyncIterator[Rows]:
    async with empty_rows(database_url) as opened:
        yield opened


async def purge(
    rows: Rows, kind: str, kept: Collection[str] = (), *, delete: bool = True, window: int = 2
) -> int:
    """Purge what is older than 90 days, in small windows."""
    before = datetime.now(UTC) - timedelta(days=90)
    return sum(
        [
            await purge_table(
                rows.database,
                replace(table, window=window),
                before=before,
                kept=kept,
                delete=delete,
            )
            for table in KINDS[kind]
        ]
    )


async def test_old_threads_go_with_their_messages_and_young_ones_stay(rows: Rows) -> None:
    old = [await rows.thread() for _ in range(5)]
    young = await rows.thread(age=YOUNG)
    continued = await rows.thread()
    await rows.run(
        "UPDATE messages SET created_at = now() WHERE thread_id = :it AND index = 1",
        it=continued,
    )

    counted = await purge(rows, "threads", delete=False)
    deleted = await purge(rows, "threads")

    assert (counted, deleted) == (len(old), len(old))
    assert await rows.count("threads", "thread_id IN (:a, :b)", a=young, b=continued) == 2
    assert await rows.count("messages") == 4


async def test_what_a_kept_run_wrote_stays_whatever_its_age(rows: Rows) -> None:
    run, other = str(uuid.uuid4()), str(uuid.uuid4())
    thread = await rows.thread(run=run)
    for one in (run, other):
        await rows.effect(f"{one}/file_ticket/abc/1", run=str(uuid.uuid4()))
        await rows.call(run=one)
        await rows.request(run=one)

    told = [await purge(rows, kind, [run]) for kind in ("threads", "effects", "usage", "approvals")]

    assert told == [0, 1, 1, 1]
    assert await rows.count("threads", "thread_id = :it", it=thread) == 1
    assert await rows.count("effects", "key LIKE :it", it=f"{run}%") == 1
    assert await rows.count("approval_decisions") == 1


async def test_effects_that_guard_orders_and_conversations_are_never_too_old(rows: Rows) -> None:
    keys = ("order/77/charge", "support/thread-5/ticket")
    for key in keys:
        await rows.effect(key, run=str(uuid.uuid4()))

    await purge(rows, "effects")

    assert await rows.count("effects", "key IN (:a, :b)", a=keys[0], b=keys[1]) == 2


async def test_requests_that_wait_and_notifications_that_are_uncertain_stay(rows: Rows) -> None:
    waiting = await rows.request(run=str(uuid.uuid4()), status="pending")
    for status in ("uncertain", "sending", "sent"):
        await rows.run(
            "INSERT INTO notifications (key, user_id, title, body, status, run_id, claimed_at) "
            "VALUES (:key, 'u', 't', 'b', :status, 'r', now() - make_interval(days => :age))",
            age=OLD,
            key=f"k-{status}",
            status=status,
        )

    await purge(rows, "approvals")
    deleted = await purge(rows, "notifications")

    assert deleted == 1
    assert await rows.count("notifications") == 2
    assert await rows.count("approval_requests", "request_id = :it", it=waiting) == 1


async def job(rows: Rows, batch: str | None, *, status: str = "done", age: int = OLD) -> None:
    await rows.run(
        "INSERT INTO jobs (pool, kind, rank, payload, status, batch, finished_at) VALUES "
        "('p', 'k', 1, '{}', :status, :batch, "
        "CASE WHEN :status = 'done' THEN now() - make_interval(days => :age) END)",
        status=status,
        batch=batch,
        age=age,
    )


async def test_the_jobs_of_a_batch_are_kept_together_while_somebody_may_count_them(
    rows: Rows,
) -> None:
    await rows.run("INSERT INTO pools (pool) VALUES ('p') ON CONFLICT DO NOTHING")
    for batch, values in {
        "at work": "true, NULL",
        "young": "true, NULL",
        "to be told": "true, now()",
        "being filled": "false, NULL",
        "over": "true, NULL",
    }.items():
        await rows.run(
            "INSERT INTO job_batches (batch, pool, sealed, tell_at) "  # noqa: S608 - of this test
            f"VALUES (:batch, 'p', {values})",
            batch=batch,
        )
        await job(rows, batch)
    await job(rows, "at work", status="running")
    await job(rows, "young", age=YOUNG)
    await job(rows, None)

    deleted = await purge(rows, "jobs")

    assert deleted == 2
    assert await rows.count("jobs", "batch IS NULL OR batch = 'over'") == 0
    assert await rows.count("jobs") == 6


async def test_a_purge_that_was_stopped_goes_on_where_rows_are_left(rows: Rows) -> None:
    for _ in range(4):
        await rows.call(run=str(uuid.uuid4()))
    table = replace(KINDS["usage"][0], window=2)
    before = datetime.now(UTC) - timedelta(days=90)
    await rows.run(
        "DELETE FROM llm_calls WHERE llm_call_id = (SELECT min(llm_call_id) FROM llm_calls "
        "WHERE created_at < now() - make_interval(days => :age))",
        age=90,
    )

    again = await purge_table(rows.database, table, before=before, kept=())
    nothing = await purge_table(rows.database, table, before=before, kept=())

    assert (again >= 3, nothing) == (True, 0)


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_can_be_counted_and_deleted(rows: Rows, kind: str) -> None:
    counted = await purge(rows, kind, delete=False, window=2000)

    assert await purge(rows, kind, window=2000) == counted
    assert await purge(rows, kind, delete=False, window=2000) == 0
