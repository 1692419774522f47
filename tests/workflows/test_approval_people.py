"""Who may decide: others than who asked, and several people; and what they may send."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowUpdateFailedError

from durable_agents.db import approval_lists
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, Decision
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.deciders import asking, refused, signed, somebody
from tests.workflows.reviewing import approval_of, decide, new_task, rows_of, start, submit, waiting

pytestmark = pytest.mark.usefixtures("worker")


async def test_whoever_asked_may_not_decide_where_four_eyes_have_to(
    client: Client, database: Database
) -> None:
    handle = await asking(client, database, approval=ApprovalOptions(four_eyes=True))
    pending = await waiting(handle)
    approval = {"verdict": "approve", "digest": pending.digest}

    own = await refused(handle, {**approval, "by": " Author "})
    nameless = await refused(handle, approval)
    await decide(handle, pending, verdict="approve", by="Ann")

    assert "asked for this, and somebody else has to decide" in own
    assert "does not say who decides" in nameless
    assert (await runs.result_of(handle)).decided_by == "Ann"


async def test_four_eyes_without_one_who_asks_fail_the_run_with_what_to_do(
    client: Client, database: Database
) -> None:
    task_id = await new_task(database)
    async with database.statement() as connection:
        await connection.execute(
            text("UPDATE tasks SET user_id = '' WHERE task_id = :id"), {"id": task_id}
        )

    handle = await start(client, task_id, approval=ApprovalOptions(four_eyes=True))
    kind, reason = await runs.failure_of(handle)

    assert (kind, "asked_by" in reason) == ("InputError", True)


async def test_two_people_have_to_approve_where_two_are_needed_and_one_may_reject(
    client: Client, database: Database
) -> None:
    handle = await asking(client, database, approval=ApprovalOptions(needed=2))
    pending = await waiting(handle)

    await decide(handle, pending, verdict="approve", by="Ann")
    again = await refused(handle, Decision(verdict="approve", digest=pending.digest, by="ann"))
    edited = await refused(
        handle, Decision(verdict="edit", digest=pending.digest, by="Bo", edit="Mine.")
    )
    state = (await approval_of(handle)).pending
    await decide(handle, pending, verdict="approve", by="Bo")
    result = await runs.result_of(handle)

    assert "has approved this already; 1 more have to" in again
    assert "so it cannot be edited" in edited
    assert state is not None
    assert state.approved_by == ("Ann",)
    assert result.decided_by == "Ann, Bo"


async def test_another_spelling_of_a_name_gives_nobody_more_than_the_name_does(
    client: Client, database: Database
) -> None:
    person = await somebody(database, "guest")
    handle = await asking(client, database)
    pending = await waiting(handle)
    approval = {"verdict": "approve", "digest": pending.digest}

    reasons = [
        await refused(handle, {**approval, "by": name})
        for name in (person.name, f" {person.name}", person.name.upper())
    ]

    assert all("It is for a reviewer to decide" in reason for reason in reasons)
    await handle.terminate()


@pytest.mark.parametrize(
    "strict", [{"four_eyes": True}, {"verified_only": True}, {"needed": 2}], ids=str
)
async def test_what_more_than_anybody_has_to_approve_cannot_be_approved_by_nobody(
    client: Client, database: Database, strict: dict[str, Any]
) -> None:
    options = ApprovalOptions(default_verdict="approve", **strict)

    handle = await asking(client, database, approval=options)
    kind, reason = await runs.failure_of(handle)

    assert (kind, "when nobody decides" in reason) == ("InputError", True)
    assert await rows_of(database, handle) == []


async def test_of_two_people_at_the_same_moment_one_decides(
    client: Client, database: Database, settings: Settings
) -> None:
    people_ = [await somebody(database, "reviewer") for _ in range(2)]
    handle = await asking(client, database)
    pending = await waiting(handle)
    made = [
        await signed(settings, handle, pending, people_[0].name),
        await signed(settings, handle, pending, people_[1].name, verdict="reject", feedback="No."),
    ]

    given = await asyncio.gather(*(submit(handle, one) for one in made), return_exceptions=True)

    (failed,) = [one for one in given if isinstance(one, WorkflowUpdateFailedError)]

    async def settled() -> bool:  # the run writes the row once the decision is its own
        return bool((await rows_of(database, handle))[0].decided_by)

    await runs.until(settled, "the decision is written down")
    (row, *_) = await rows_of(database, handle)
    assert f"by {row.decided_by} already" in str(failed.cause)
    assert row.status in {"approved", "rejected"}
    async with database.statement() as connection:
        tries = await approval_lists.decisions_on(connection, row.request_id)
    assert [one.counted for one in tries].count(True) == 1
    await handle.terminate()


async def test_a_megabyte_of_feedback_is_refused_and_written_down_in_short(
    client: Client, database: Database
) -> None:
    handle = await asking(client, database)
    pending = await waiting(handle)
    huge = {"verdict": "reject", "digest": pending.digest, "feedback": "x" * 1_000_000}

    by_update = await refused(handle, huge)
    await handle.signal("decide", huge)

    async def noted() -> bool:
        async with database.statement() as connection:
            tries = await approval_lists.decisions_on(connection, pending.request_id)
        return [len(one.feedback) for one in tries] == [500]

    assert "at most 10,000 are taken" in by_update
    await runs.until(noted, "the refusal is written down")
    assert (await runs.status_of(handle)).step == "wait for approval 1"
    await decide(handle, pending, verdict="approve", by="Ann")
    assert (await runs.result_of(handle)).status == "approved"


async def test_an_edited_text_is_what_is_saved(client: Client, database: Database) -> None:
    handle = await asking(client, database)
    pending = await waiting(handle)

    await decide(handle, pending, verdict="edit", by="Ann", edit="What Ann wrote.")
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    assert (result.status, result.result, result.edited) == ("approved", "What Ann wrote.", True)
    assert row.edited_content == "What Ann wrote."
    assert row.content != "What Ann wrote."
