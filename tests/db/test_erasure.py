"""What becomes of what is kept of one person."""

import uuid
from collections.abc import AsyncIterator

import pytest

from durable_agents.db.erasure import count_rows, count_unfinished, erase, runs_named
from durable_agents.db.refunds import OpenRefund, begin
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
    for table in ("drafts", "errors", "messages"):
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
    assert await rows.count("tickets", "account_id = 'cid-9' OR subject = 'my printer'") <= 1


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


async def test_jobs_that_are_to_be_done_for_a_person_are_counted(rows: Rows) -> None:
    await rows.run("INSERT INTO pools (pool) VALUES ('p')")
    for status in ("queued", "done"):
        await rows.run(
            "INSERT INTO jobs (pool, kind, tenant, rank, payload, status, finished_at) VALUES "
            "('p', 'k', 'fay', 1, '{}', :status, CASE WHEN :status = 'done' THEN now() END)",
            status=status,
        )

    assert await count_unfinished(rows.database, "fay") == 1
    told = {one.table: one.deleted for one in await erase(rows.database, "fay", set())}
    assert told["jobs"] == 1
