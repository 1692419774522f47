"""F10 when nobody decides: in time, before a cancel, or before the run is terminated."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RetryPolicy

from durable_agents.db.approval_lists import RequestRecord, decisions_on, get_request
from durable_agents.db.approvals import Subject, add_request
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, RequestApprovalInput
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.reviewing import (
    Handle,
    approval_of,
    decide,
    new_task,
    rows_of,
    start,
    task_of,
    waiting,
)
from workers import reconciler
from workers.reconciler import reconcile_requests
from workflows import policies
from workflows.approval import WITHDRAWN
from workflows.decision_desk import ENDED

pytestmark = pytest.mark.usefixtures("worker")


async def refusal_of_closed(handle: Handle) -> str:
    """What a run that has ended says of decisions; nothing can reach it any more."""
    state = await approval_of(handle)
    return "Nothing waits" if state.pending is None else "It waits"


async def test_nobody_decides_in_time_ends_expired(client: Client, database: Database) -> None:
    task_id = await new_task(database)

    handle = await start(client, task_id, decision_deadline_s=0.3)
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    assert (result.status, row.status) == ("expired", "expired")
    assert "Nobody decided on revision 1 within 0.3 s" in result.result
    assert (await task_of(database, task_id)).result is None
    assert "Nothing waits" in await refusal_of_closed(handle)


async def test_a_run_that_is_cancelled_while_it_waits_withdraws_its_request(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    await waiting(handle)

    await handle.cancel()
    kind, _ = await runs.failure_of(handle)

    (row,) = await rows_of(database, handle)
    assert kind == "CancelledError"
    assert (row.status, row.decided_by) == ("withdrawn", "")
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    status = await runs.status_of(handle)
    assert (status.state, status.phase, status.waiting_for) == ("cancelled", "ended", "")


async def test_the_deadline_of_the_run_rests_while_it_waits_for_a_person(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database), deadline_s=2)
    pending = await waiting(handle)

    async def longer() -> bool:  # than the run may work
        return (datetime.now(UTC) - (await handle.describe()).start_time).total_seconds() > 2.5

    await runs.until(longer, "the deadline would be over")
    await decide(handle, pending, verdict="approve", by="Ann")

    assert (await runs.result_of(handle)).status == "approved"


async def test_the_deadline_of_the_run_goes_on_after_a_wait(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    handle = await start(client, task_id, deadline_s=3)
    pending = await waiting(handle)

    async with simulator.faults(task_id, {"kind": "hang", "times": -1}):
        await decide(handle, pending, verdict="reject", by="Ann", feedback="Shorter.")
        kind, message = await runs.failure_of(handle)

    assert (kind, "within 3 s" in message) == ("DeadlineExceededError", True)
    assert [row.status for row in await rows_of(database, handle)] == ["rejected"]


async def test_a_run_that_is_cancelled_while_it_checks_a_decision_withdraws_its_request(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    pending = await waiting(handle)
    async with database.transaction() as connection:  # nobody can look up who decides meanwhile
        await connection.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        approval = {"verdict": "approve", "digest": pending.digest, "by": "Ann"}
        await handle.signal("decide", approval)
        await handle.cancel()
        await until_cancel_is_seen(handle)
    kind, _ = await runs.failure_of(handle)

    (row,) = await rows_of(database, handle)
    async with database.statement() as connection:
        (tried,) = await decisions_on(connection, row.request_id)
    assert kind == "CancelledError"
    assert (row.status, row.feedback) == ("withdrawn", WITHDRAWN)
    assert (tried.by, tried.counted, tried.reason) == ("Ann", False, ENDED)


async def test_a_wait_outlasts_a_database_that_stays_away_while_it_reminds(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "DATABASE", RetryPolicy(maximum_attempts=1))
    options = ApprovalOptions(remind_after_s=0.5)
    handle = await start(client, await new_task(database), approval=options)
    pending = await waiting(handle)
    async with unmarkable(database, pending.request_id):

        async def tried_thrice() -> bool:
            going_on = (await handle.describe()).raw_description.pending_activities
            return any(one.attempt > 2 for one in going_on)

        await runs.until(tried_thrice, "the reminder is tried again")
    await decide(handle, pending, verdict="approve", by="Ann")
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    assert result.status == "approved"
    assert row.reminded_at is not None


@asynccontextmanager
async def unmarkable(database: Database, request_id: int) -> AsyncGenerator[None]:
    """Let the database answer as one that is starting to whoever marks a request."""
    name = f"unmarkable_{request_id}"
    function = f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'starting up' USING ERRCODE = 'cannot_connect_now'; END $$
    """
    trigger = f"""
        CREATE TRIGGER {name} BEFORE UPDATE OF reminded_at ON approval_requests FOR EACH ROW
        WHEN (NEW.request_id = {request_id}) EXECUTE FUNCTION {name}()
    """
    async with database.transaction() as connection:
        await connection.execute(text(function))
        await connection.execute(text(trigger))
    try:
        yield
    finally:
        async with database.transaction() as connection:
            await connection.execute(text(f"DROP FUNCTION {name} CASCADE"))


async def test_a_run_that_is_cancelled_while_it_requests_a_review_withdraws_it(
    client: Client, database: Database
) -> None:
    task_id = await new_task(database)
    async with database.transaction() as connection:  # nobody can request a review meanwhile
        await connection.execute(text("LOCK TABLE approval_requests IN SHARE ROW EXCLUSIVE MODE"))
        handle = await start(client, task_id)
        await runs.until_step(handle, "request approval 1")
        await handle.cancel()
        await until_cancel_is_seen(handle)
    kind, _ = await runs.failure_of(handle)

    (row,) = await rows_of(database, handle)
    assert kind == "CancelledError"
    assert (row.status, row.feedback) == ("withdrawn", WITHDRAWN)
    assert await runs.activities_of(handle) == [
        "validate-task",
        "process",
        "request-review-1",
        "tell-new-review-1",
        "settle-review-1",
    ]


async def until_cancel_is_seen(handle: Handle) -> None:
    """Wait until the run has worked through the cancel."""

    async def seen() -> bool:
        kinds = [event.event_type for event in await runs.events_of(handle)]
        cancelled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        worked = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        return cancelled in kinds and worked in kinds[kinds.index(cancelled) :]

    await runs.until(seen, "the cancel")


async def reconciled(client: Client, database: Database, row: RequestRecord) -> RequestRecord:
    """A request after the reconciler has looked at it."""
    before = row.request_id - 1
    await reconcile_requests(client, database, open_for=timedelta(0), after=before)
    async with database.statement() as connection:
        return await get_request(connection, row.request_id)


async def test_the_reconciler_withdraws_the_request_of_a_terminated_run_and_says_why(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    await waiting(handle)
    (row,) = await rows_of(database, handle)

    while_it_waits = await reconciled(client, database, row)
    await handle.terminate()
    after = await reconciled(client, database, row)

    assert (while_it_waits.status, while_it_waits.decided_at) == ("pending", None)
    assert (after.status, after.feedback) == ("withdrawn", "The run was terminated.")
    assert (after.decided_by, after.decided_at is None) == ("", False)


async def test_the_reconciler_withdraws_a_request_of_no_run(
    client: Client, database: Database
) -> None:
    word = runs.token()
    async with database.transaction() as connection:
        asked = RequestApprovalInput(step="review-1", kind="review")
        subject = Subject(title="t", content="A text.")
        added = await add_request(connection, asked, subject, workflow_id=word, run_id=word)
        row = await get_request(connection, added.request_id)

    after = await reconciled(client, database, row)

    assert (after.status, after.feedback[:27]) == ("withdrawn", "The server knows no such ru")


async def test_the_reconciler_looks_at_some_requests_at_a_time(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "REQUESTS_AT_ONCE", 1)
    rows: list[RequestRecord] = []
    for _ in range(2):
        handle = await start(client, await new_task(database))
        await waiting(handle)
        rows += await rows_of(database, handle)
        await handle.terminate()
    first, second = rows

    go_on = await reconcile_requests(
        client, database, open_for=timedelta(0), after=first.request_id - 1
    )
    end = await reconcile_requests(client, database, open_for=timedelta(0), after=second.request_id)

    assert go_on == first.request_id
    assert end == 0
    async with database.statement() as connection:
        assert (await get_request(connection, first.request_id)).status == "withdrawn"
        assert (await get_request(connection, second.request_id)).status == "pending"
