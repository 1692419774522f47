"""Who may decide: verified or not, four eyes, several people, roles, reminders, escalation."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowUpdateFailedError

from durable_agents.clients.signatures import signature_of
from durable_agents.db import approval_lists, people
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, Decision, PendingApproval
from durable_agents.models.people import Person
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.reviewing import (
    Handle,
    approval_of,
    decide,
    new_task,
    rows_of,
    start,
    submit,
    waiting,
)

pytestmark = pytest.mark.usefixtures("worker")


async def somebody(database: Database, *roles: str) -> Person:
    async with database.statement() as connection:
        return await people.add_user(connection, runs.token(), roles=roles)


async def asking(client: Client, database: Database, **options: Any) -> Handle:
    given = {"asked_by": "author", "decision_deadline_s": 60, **options}
    return await start(client, await new_task(database), **given)


async def signed(
    settings: Settings, handle: Handle, pending: PendingApproval, by: str, **values: Any
) -> Decision:
    """A decision as the page would send it."""
    given = {"verdict": "approve", "digest": pending.digest, "by": by, "via": "page", **values}
    decision = Decision.model_validate(given)
    run_id = handle.first_execution_run_id or ""
    signature = signature_of(
        settings.signing_key.get_secret_value(),
        decision,
        workflow_id=handle.id,
        run_id=run_id,
        edit=decision.edit,
    )
    return decision.model_copy(update={"signature": signature})


async def refused(handle: Handle, decision: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await submit(handle, decision)
    return str(error.value.cause)


async def test_a_signed_decision_is_recorded_as_verified(
    client: Client, database: Database, settings: Settings
) -> None:
    person = await somebody(database, "reviewer")
    handle = await asking(client, database, approval=ApprovalOptions(verified_only=True))
    pending = await waiting(handle)

    unsigned = await refused(handle, Decision(verdict="approve", digest=pending.digest, by="Ann"))
    good = await signed(settings, handle, pending, person.name)
    forged = await refused(handle, good.model_copy(update={"by": "somebody.else"}))
    turned = await refused(
        handle, good.model_copy(update={"verdict": "reject", "feedback": "Never."})
    )
    taken = await submit(handle, good)
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    assert "Only a signed decision counts" in unsigned
    assert "not ours, or belongs to another decision" in forged
    assert "not ours, or belongs to another decision" in turned
    assert (taken.verified, result.verified, result.decided_by) == (True, True, person.name)
    assert (row.verified, row.via, row.decided_by) == (True, "page", person.name)
    async with database.statement() as connection:
        tries = await approval_lists.decisions_on(connection, row.request_id)
    assert [(one.counted, one.verified) for one in tries] == [
        (False, False),
        (False, False),
        (True, True),
    ]


async def test_a_signature_of_somebody_who_may_not_come_in_any_more_does_not_count(
    client: Client, database: Database, settings: Settings
) -> None:
    person = await somebody(database, "reviewer")
    handle = await asking(client, database)
    pending = await waiting(handle)
    async with database.statement() as connection:
        await people.set_disabled(connection, person.name, disabled=True)

    reason = await refused(handle, await signed(settings, handle, pending, person.name))

    assert f"Nobody of the name {person.name} may sign in" in reason
    await handle.terminate()


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


async def test_of_several_approvals_all_have_to_be_verified_for_the_whole_to_be(
    client: Client, database: Database, settings: Settings
) -> None:
    person = await somebody(database, "reviewer")
    handle = await asking(client, database, approval=ApprovalOptions(needed=2))
    pending = await waiting(handle)

    await decide(handle, pending, verdict="approve", by="Ann")
    taken = await submit(handle, await signed(settings, handle, pending, person.name))
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    assert taken.verified
    assert (result.verified, row.verified) == (False, False)
    assert result.decided_by == f"Ann, {person.name}"


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


async def test_a_request_for_a_role_is_for_those_who_have_it(
    client: Client, database: Database, settings: Settings
) -> None:
    role = runs.token()
    mine, other = await somebody(database, role), await somebody(database, "reviewer")
    handle = await asking(client, database, approval=ApprovalOptions(reviewer=role))
    pending = await waiting(handle)

    foreign = await refused(handle, await signed(settings, handle, pending, other.name))
    claimed = await refused(handle, {"verdict": "approve", "digest": pending.digest, "by": "Ann"})
    async with database.statement() as connection:
        for_me = await approval_lists.list_requests(
            connection, which=approval_lists.meant_for(mine)
        )
        for_other = await approval_lists.list_requests(
            connection, which=approval_lists.meant_for(other), search=handle.id
        )
    await submit(handle, await signed(settings, handle, pending, mine.name))

    assert f"It is for {role} to decide, and {other.name} is not known as such" in foreign
    assert f"It is for {role} to decide, and Ann is not known" in claimed
    assert [one.workflow_id for one in for_me] == [handle.id]
    assert for_other == []
    assert (await runs.result_of(handle)).decided_by == mine.name


async def test_reviewers_are_reminded_and_then_others_may_decide_as_well(
    client: Client, database: Database, settings: Settings
) -> None:
    first, second = runs.token(), runs.token()
    person = await somebody(database, second)
    options = ApprovalOptions(
        reviewer=first, escalate_to=second, remind_after_s=0.2, escalate_after_s=1.2
    )
    handle = await asking(client, database, approval=options)
    pending = await waiting(handle)

    early = await refused(handle, await signed(settings, handle, pending, person.name))
    await until_escalated(database, handle)
    await submit(handle, await signed(settings, handle, pending, person.name))
    result = await runs.result_of(handle)

    (row,) = await rows_of(database, handle)
    told = text(
        "SELECT user_id, title FROM notifications WHERE run_id = :run ORDER BY notification_id"
    )
    async with database.statement() as connection:
        found = (await connection.execute(told, {"run": handle.first_execution_run_id})).all()
    assert f"It is for {first} to decide" in early
    assert result.decided_by == person.name
    assert row.reminded_at is not None
    assert [one.user_id for one in found] == [first, first, second]
    assert [one.title.partition(":")[0] for one in found] == [
        "A request",
        "A reminder",
        "An escalated request",
    ]


async def until_escalated(database: Database, handle: Handle) -> None:
    async def there() -> bool:
        (row,) = await rows_of(database, handle)
        return row.escalated_at is not None

    await runs.until(there, "the escalation")


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
