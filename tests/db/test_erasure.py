"""What becomes of what is kept of one person."""

import uuid
from collections.abc import AsyncIterator

import pytest

from durable_agents.db.erasure import (
    count_rows,
    count_unfinished,
    erase,
    executions_named,
    runs_named,
)
from durable_agents.db.refunds import OpenRefund, begin
from durable_agents.models.tenants import tenant_key
from tests.db.kept import YOUNG, Rows, empty_rows

ANN, BOB = "ann-7", "bob-8"


@pytest.fixture(scope="module")
async def rows(database_url: str) -> AsyncIterator[Rows]:
    async with empty_rows(database_url) as opened:
        yield opened


async def write_all_of(rows: Rows, user: str) -> str:
    """A row of every kind that a run for a user leaves; tells the run."""
    run = str(uuid.uuid4())
    thread = await rows.thread(user=user, run=run, age=YOUNG)
    await rows.call(user=user, run=run, age=YOUNG)
    await rows.request(run=run, for_whom=user, age=YOUNG)
    await rows.effect(f"{run}/file_ticket/abc/1", run=run, age=YOUNG)
    account = {"user": user, "run": run, "thread": f"support/thread-{thread}/ticket"}
    for statement in (
        "INSERT INTO accounts (account_id, name, email, plan, city, balance_usd) "
        "VALUES (:user, :user, 'a@example.com', 'free', 'Oslo', 5)",
        "INSERT INTO tickets (account_id, subject, description, priority, effect_key) "
        "VALUES (:user, 'my printer', 'it burns', 'high', :thread)",
        "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:run, :user, 't', 'b')",
        "INSERT INTO products (sku, name, price_usd, stock) VALUES (:run, 'p', 1, 1)",
        "INSERT INTO orders (order_id, user_id, sku, quantity, card) "
        "VALUES (:run, :user, :run, 1, 'tok_ok')",
        "INSERT INTO payments (order_id, generation, amount_usd, card, status) "
        "VALUES (:run, 1, 5, 'tok_ok', 'charged')",
        "INSERT INTO notifications (key, user_id, title, body, run_id) "
        "VALUES (:run || '/notify', :user, 't', 'b', :run)",
        "INSERT INTO interactions (run_id, user_id, message, intent, confidence, agent, reply) "
        "VALUES (:run, :user, 'm', 'sales', 1, 'a', 'r')",
        "INSERT INTO reports (run_id, user_id, query, report, confidence, rounds) "
        "VALUES (:run, :user, 'q', 'r', 1, 1)",
        "INSERT INTO drafts (run_id, step, kind, content) VALUES (:run, 's', 'draft', 'c')",
        "INSERT INTO errors (workflow_id, run_id, step, type, message) "
        "VALUES ('w', :run, 's', 'T', 'm')",
    ):
        await rows.run(statement, **account)
    return run


async def test_what_is_kept_of_a_person_goes_or_is_emptied_and_others_keep_theirs(
    rows: Rows,
) -> None:
    run, other = await write_all_of(rows, ANN), await write_all_of(rows, BOB)
    runs = await runs_named(rows.database, ANN)

    before = await count_rows(rows.database, ANN, runs)
    told = await erase(rows.database, ANN, runs)

    assert runs == {run}
    assert sum(one.deleted + one.emptied for one in told) >= 14
    assert [(one.table, one.deleted, one.emptied) for one in before] == [
        (one.table, one.deleted, one.emptied) for one in told
    ]
    for table in ("threads", "interactions", "reports", "notifications", "tasks"):
        assert await rows.count(table, "user_id = :it", it=ANN) == 0, table
        assert await rows.count(table, "user_id = :it", it=BOB) == 1, table
    for table in ("drafts", "errors", "messages", "effects"):
        assert await rows.count(table, "run_id = :it", it=run) == 0, table
        assert await rows.count(table, "run_id = :it", it=other) > 0, table


async def test_the_books_stay_without_the_person(rows: Rows) -> None:
    run = await write_all_of(rows, "cid-9")

    await erase(rows.database, "cid-9", await runs_named(rows.database, "cid-9"))

    assert await rows.count("payments", "order_id = :it AND amount_usd = 5", it=run) == 1
    assert await rows.count("orders", "order_id = :it AND user_id = 'erased'", it=run) == 1
    assert await rows.count("llm_calls", "run_id = :it AND user_id = ''", it=run) == 1
    asked = "run_id = :it AND content = '' AND title = 'erased' AND for_whom = 'erased'"
    assert await rows.count("approval_requests", asked, it=run) == 1
    assert await rows.count("approval_decisions", "feedback = '' AND by = 'kim'") >= 1
    assert await rows.count("accounts", "email <> '' AND account_id = 'cid-9'") == 0
    assert await rows.count("tickets", "account_id = 'cid-9'") == 0
    assert await rows.count("tickets", "subject = 'erased' AND description = ''") >= 1


async def test_erasing_again_changes_nothing(rows: Rows) -> None:
    await write_all_of(rows, "dan")
    await erase(rows.database, "dan", await runs_named(rows.database, "dan"))

    again = await erase(rows.database, "dan", await runs_named(rows.database, "dan"))

    assert [one for one in again if one.deleted or one.emptied] == []


async def test_an_open_refund_of_an_erased_person_stays_open(rows: Rows) -> None:
    run = await write_all_of(rows, "eve")
    async with rows.database.transaction() as connection:
        await begin(connection, OpenRefund(order_id=run, generation=1, namespace="n", run_id=run))

    await erase(rows.database, "eve", await runs_named(rows.database, "eve"))

    assert await rows.count("refunds", "order_id = :it AND settled_at IS NULL", it=run) == 1


async def test_who_was_told_of_another_s_run_or_asked_for_it_takes_nothing_of_it_along(
    rows: Rows,
) -> None:
    run = await write_all_of(rows, "gus")
    asked = await rows.request(run=run, for_whom="gus", age=YOUNG, step="another")
    await rows.run("UPDATE approval_requests SET asked_by = 'kim' WHERE run_id = :it", it=run)
    await notify(rows, f"{asked}:digest:ask", to="kim", run=run)

    runs = await runs_named(rows.database, "kim")
    told = await erase(rows.database, "kim", runs)

    assert runs == set()
    assert [one for one in told if one.deleted or one.emptied] == []


async def test_what_a_reviewer_was_told_of_a_person_s_run_goes_with_the_person(rows: Rows) -> None:
    run = await write_all_of(rows, "hal")
    await notify(rows, "77:digest:ask", to="kim", run=run)
    await notify(rows, f"{uuid.uuid4()}:notify-user", to="hal", run="a-run-that-nobody-names")

    await erase(rows.database, "hal", await runs_named(rows.database, "hal"))

    assert await rows.count("notifications", "run_id = :it OR user_id = 'hal'", it=run) == 0


async def notify(rows: Rows, key: str, *, to: str, run: str) -> None:
    await rows.run(
        "INSERT INTO notifications (key, user_id, title, body, status, run_id) "
        "VALUES (:key, :to, 't', 'b', 'sent', :run)",
        key=key,
        to=to,
        run=run,
    )


async def test_runs_that_only_calls_of_a_model_name_are_told_with_their_workflows(
    rows: Rows,
) -> None:
    run = str(uuid.uuid4())
    for _ in range(2):
        await rows.call(user="ida", run=run, age=YOUNG)

    assert await executions_named(rows.database, "ida") == {("w", run)}


async def test_the_day_of_a_tenant_with_a_long_name_goes_with_them(rows: Rows) -> None:
    long = "jo-" + "x" * 80
    await rows.run(
        "INSERT INTO tenant_days (tenant, day) VALUES (:it, CURRENT_DATE)", it=tenant_key(long)
    )

    await erase(rows.database, long, set())

    assert await rows.count("tenant_days", "tenant = :it", it=tenant_key(long)) == 0


async def job(rows: Rows, tenant: str, *, status: str = "done", **given: str | None) -> None:
    values = {"batch": None, "payload": "{}", "tell": None, **given}
    await rows.run(
        "INSERT INTO jobs (pool, kind, tenant, rank, payload, status, batch, tell_at, finished_at) "
        "VALUES ('p', 'k', :tenant, 1, CAST(:payload AS jsonb), :status, :batch, "
        "CAST(:tell AS timestamptz), CASE WHEN :status = 'done' THEN now() END)",
        tenant=tenant,
        status=status,
        **values,
    )


async def test_a_job_is_theirs_whom_it_names_and_not_theirs_whose_turn_it_takes(
    rows: Rows,
) -> None:
    await rows.run("INSERT INTO pools (pool) VALUES ('p') ON CONFLICT DO NOTHING")
    await job(rows, "acme", payload='{"user_id": "lea"}')
    await job(rows, "acme", payload='{"user_id": "max"}')

    of_tenant = await erase(rows.database, "acme", set())
    of_user = await erase(rows.database, "lea", set())

    assert {one.table: one.deleted for one in of_tenant}["jobs"] == 0
    assert {one.table: one.deleted for one in of_user}["jobs"] == 1


@pytest.mark.parametrize("waited_for", ["by a batch", "by somebody who is told"])
async def test_a_finished_job_that_somebody_waits_for_is_not_finished_with(
    rows: Rows, waited_for: str
) -> None:
    user = f"user-{uuid.uuid4()}"
    await rows.run("INSERT INTO pools (pool) VALUES ('p') ON CONFLICT DO NOTHING")
    if waited_for == "by a batch":
        await rows.run("INSERT INTO job_batches (batch, pool) VALUES (:it, 'p')", it=user)
        await job(rows, user, batch=user)
        await job(rows, "another", batch=user, status="running")
    else:
        await job(rows, user, tell="2030-01-01")

    told = {one.table: one.deleted for one in await erase(rows.database, user, set())}

    assert await count_unfinished(rows.database, user) == 1
    assert told["jobs"] == 0


async def test_jobs_that_are_to_be_done_for_a_person_are_counted(rows: Rows) -> None:
    await rows.run("INSERT INTO pools (pool) VALUES ('p') ON CONFLICT DO NOTHING")
    for status in ("queued", "done"):
        await rows.run(
            "INSERT INTO jobs (pool, kind, tenant, rank, payload, status, finished_at) VALUES "
            "('p', 'k', 'fay', 1, '{}', :status, CASE WHEN :status = 'done' THEN now() END)",
            status=status,
        )

    assert await count_unfinished(rows.database, "fay") == 1
    told = {one.table: one.deleted for one in await erase(rows.database, "fay", set())}
    assert told["jobs"] == 1
