"""Decisions that are signed: whose count, for a role, and after an escalation."""

import pytest
from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db import approval_lists, people
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, Decision
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.deciders import asking, refused, signed, somebody
from tests.workflows.reviewing import Handle, decide, rows_of, submit, waiting

pytestmark = pytest.mark.usefixtures("worker")


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
