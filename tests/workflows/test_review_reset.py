"""F10 after a reset: what is asked anew, and what earlier decisions are worth."""

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, Decision
from tests.workflows import runs
from tests.workflows.reviewing import (
    decide,
    finished_tasks,
    new_task,
    reset,
    rows_of,
    start,
    submit,
    until_another,
    waiting,
)

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_run_that_was_reset_asks_anew_and_takes_no_decision_on_what_it_asked_before(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    before = await waiting(handle)

    again = await reset(client, handle)
    asked = await until_another(again, before)
    stale = Decision(verdict="approve", digest=before.digest, by="Ann")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await submit(again, stale)
    rows = await rows_of(database, handle)

    assert "about another text" in str(refused.value.cause)
    assert [row.status for row in rows] == ["withdrawn", "pending"]
    assert "reset" in rows[0].feedback
    assert rows[0].content == rows[1].content
    await decide(again, asked, verdict="approve", by="Ann")
    assert (await runs.result_of(again)).status == "approved"


async def test_a_decision_that_a_reset_applies_again_changes_nothing(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    before = await waiting(handle)
    point = await finished_tasks(handle)
    await handle.signal("decide", Decision(verdict="approve", digest=before.digest, by="Ann"))
    await runs.result_of(handle)

    again = await reset(client, handle, point[-1])
    asked = await until_another(again, before)

    rows = await rows_of(database, handle)
    assert asked.digest != before.digest
    assert [row.status for row in rows] == ["approved", "pending"]
    await decide(again, asked, verdict="approve", by="Bo")
    assert (await runs.result_of(again)).decided_by == "Bo"


async def test_what_is_asked_anew_after_its_escalation_is_for_those_others_too(
    client: Client, database: Database
) -> None:
    first, second = runs.token(), runs.token()
    options = ApprovalOptions(reviewer=first, escalate_to=second, escalate_after_s=0.2)
    handle = await start(client, await new_task(database), approval=options, decision_deadline_s=60)
    before = await waiting(handle)

    async def escalated() -> bool:
        (row,) = await rows_of(database, handle)
        return row.escalated_at is not None

    await runs.until(escalated, "the escalation")
    await runs.until_step(handle, "wait for approval 1")
    again = await reset(client, handle)
    asked = await until_another(again, before)

    newest = (await rows_of(database, handle))[-1]
    assert (newest.request_id, newest.escalated_at is not None) == (asked.request_id, True)
    assert asked.reviewer == f"{first} or {second}"
    await again.terminate()
