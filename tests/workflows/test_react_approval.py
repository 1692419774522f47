"""F9: calls that need a person's approval wait for it, and run once, not at all, or as edited."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.agent import catalogue
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.definition import ToolGrant
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions, PendingApproval
from durable_agents.models.react import ReActResult
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.reviewing import Handle, approval_of, decide, rows_of, submit
from tests.workflows.ticketing import filing, request_of, tickets_about

pytestmark = pytest.mark.usefixtures("worker")

CAUSE_NONE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED
CAUSE_SERVER_CLOSED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND


async def decide_in_the_end(handle: Handle, pending: PendingApproval) -> None:
    """Approve; a server that closes a task to let in more signals refuses updates meanwhile."""

    async def is_taken() -> bool:
        try:
            await decide(handle, pending, verdict="approve", by="Ann")
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
            return False
        return True

    await runs.until(is_taken, "the decision is taken")


async def test_an_approved_call_runs_exactly_once(client: Client, database: Database) -> None:
    word = runs.token()
    handle = await filing(client, word, asked_by="bo")
    waiting = (await approval_of(handle)).waiting
    before = await tickets_about(database, word)

    await decide(handle, waiting[0], verdict="approve", by="Ann")
    result = await runs.result_of(handle)

    row = await request_of(database, handle)
    assert before == 0
    assert await tickets_about(database, word) == 1
    assert [(call.tool, call.outcome) for call in result.tool_calls] == [("file_ticket", "done")]
    assert (row.kind, row.tool, row.asked_by) == ("tool", "file_ticket", "bo")
    assert word in json.dumps(row.arguments)
    assert "support team" in row.consequences
    assert (row.status, row.decided_by, row.verified, row.via) == (
        "approved",
        "Ann",
        False,
        "update",
    )
    assert "has been filed" in result.answer


async def test_a_rejected_call_is_not_made_and_the_agent_answers_to_the_feedback(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    handle = await filing(client, word)
    waiting = (await approval_of(handle)).waiting

    await decide(handle, waiting[0], verdict="reject", by="Ann", feedback="Call them instead.")
    result = await runs.result_of(handle)

    assert await tickets_about(database, word) == 0
    assert [call.outcome for call in result.tool_calls] == ["refused"]
    assert "rejected this call" in result.answer
    seen = (await simulator.calls(word))[-1]["body"]
    assert "Call them instead." in seen
    assert 'untrusted source=\\"reviewer\\"' in seen  # nobody vouches for who said it
    assert not any(name == "file_ticket-1.1" for name in await runs.activities_of(handle))


async def test_a_rejection_without_a_name_is_told_to_the_agent_as_well(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()
    handle = await filing(client, word)
    waiting = (await approval_of(handle)).waiting

    await decide(handle, waiting[0], verdict="reject", feedback="Call them instead.")
    await runs.result_of(handle)

    seen = (await simulator.calls(word))[-1]["body"]
    assert "Call them instead." in seen
    assert "nobody decided" not in seen


async def test_two_calls_of_one_thought_wait_side_by_side_and_each_gets_its_own_decision(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = replace(
        get_agent("assistant"), tools=(ToolGrant("calculate", requires_approval=True),)
    )
    monkeypatch.setattr(catalogue, "AGENTS", {"assistant": careful})
    handle = await runs.start_react(client, "What is 6 * 7, and what is 12 * 12?")
    first, second = await both_waiting(handle)

    with pytest.raises(WorkflowUpdateFailedError) as unnamed:
        await submit(handle, {"verdict": "approve", "by": "Ann"})
    await decide(handle, second, verdict="reject", by="Ann", feedback="Not this one.")
    left = (await approval_of(handle)).waiting
    await decide(handle, first, verdict="approve", by="Bo")
    result = await runs.result_of(handle)

    rows = await rows_of(database, handle)
    assert "Give the digest of the one that waits: " in str(unnamed.value.cause)
    assert f"{first.digest}, {second.digest}" in str(unnamed.value.cause)
    assert left == (first,)
    assert {row.request_id: (row.status, row.decided_by) for row in rows} == {
        first.request_id: ("approved", "Bo"),
        second.request_id: ("rejected", "Ann"),
    }
    assert sorted(call.outcome for call in result.tool_calls) == ["done", "refused"]
    assert (await runs.status_of(handle)).waiting_for == ""


async def both_waiting(handle: Handle) -> tuple[PendingApproval, ...]:
    """What a run waits for, once it waits for two decisions."""
    found: list[PendingApproval] = []

    async def there() -> bool:
        found[:] = (await approval_of(handle)).waiting
        return len(found) == 2

    await runs.until(there, "two requests")
    return tuple(found)


async def test_nobody_decides_and_the_agent_goes_on_without(
    client: Client, database: Database
) -> None:
    handle = await runs.start_react(
        client, f"file a ticket: printer {runs.token()}", decision_deadline_s=0.3
    )
    result = await runs.result_of(handle)

    row = await request_of(database, handle)
    assert row.status == "expired"
    assert [call.outcome for call in result.tool_calls] == ["refused"]
    assert "nobody decided" in result.answer


async def test_an_approval_by_default_counts_where_the_request_says_so(
    client: Client, database: Database
) -> None:
    word = runs.token()
    handle = await runs.start_react(
        client,
        f"file a ticket: printer {word}",
        decision_deadline_s=0.3,
        approval=ApprovalOptions(default_verdict="approve"),
    )
    result = await runs.result_of(handle)

    row = await request_of(database, handle)
    assert (row.status, row.decided_by, row.via) == ("approved", "", "default")
    assert [call.outcome for call in result.tool_calls] == ["done"]
    assert await tickets_about(database, word) == 1


async def test_the_deadline_of_the_run_rests_while_it_waits_for_a_person(
    client: Client,
) -> None:
    handle = await filing(client, runs.token(), deadline_s=3)
    pending = (await approval_of(handle)).waiting[0]

    async def longer() -> bool:  # than the run may work
        return (datetime.now(UTC) - (await handle.describe()).start_time).total_seconds() > 3

    await runs.until(longer, "the deadline would be over")
    await decide(handle, pending, verdict="approve", by="Ann")

    assert (await runs.result_of(handle)).stopped == "answered"


async def test_a_run_that_is_cancelled_withdraws_the_request_and_files_nothing(
    client: Client, database: Database
) -> None:
    word = runs.token()
    handle = await filing(client, word)

    await handle.cancel()
    kind, _ = await runs.failure_of(handle)

    row = await request_of(database, handle)
    assert kind == "CancelledError"
    assert row.status == "withdrawn"
    assert await tickets_about(database, word) == 0


async def test_a_thousand_stray_signals_cost_the_run_little_and_decide_nothing(
    client: Client, database: Database
) -> None:
    handle = await filing(client, runs.token())
    pending = (await approval_of(handle)).waiting[0]
    strays: list[Any] = [
        {"verdict": "approve", "digest": "0123"},
        "approve",
        {"verdict": "reject", "digest": pending.digest},
        {"verdict": "approve", "digest": pending.digest, "signature": "f" * 64},
    ]

    for number in range(1000):
        await handle.signal("decide", strays[number % len(strays)])
    await decide_in_the_end(handle, pending)
    result: ReActResult = await runs.result_of(handle)

    events = await runs.events_of(handle)
    failed = {event.workflow_task_failed_event_attributes.cause for event in events}
    kinds = [event.event_type for event in events]
    signals = kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    tasks = sum("WORKFLOW_TASK" in EventType.Name(kind) for kind in kinds)
    row = await request_of(database, handle)
    assert signals == 1000
    assert len(kinds) - signals - tasks < 250
    assert failed <= {CAUSE_NONE, CAUSE_SERVER_CLOSED}  # the run itself failed at none
    assert (row.status, row.decided_by) == ("approved", "Ann")
    assert [call.outcome for call in result.tool_calls] == ["done"]
