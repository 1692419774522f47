"""F10: which decisions count by update, and why the others do not."""

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agents.db.engine import Database
from durable_agents.models.approval import TakenDecision
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.reviewing import Handle, decide, new_task, rows_of, start, submit, waiting

pytestmark = pytest.mark.usefixtures("worker")


async def refusal_of(handle: Handle, decision: object) -> str:
    """Why the run refuses a decision."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await submit(handle, decision)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause.message


async def test_a_decision_that_would_not_count_is_refused_with_the_reason(
    client: Client, database: Database
) -> None:
    handle = await start(client, await new_task(database))
    pending = await waiting(handle)
    good = {"verdict": "approve", "digest": pending.digest}

    refused = {
        "about another text": {**good, "digest": "0123456789abcdef"},
        "does not say which text": {"verdict": "approve"},
        "needs feedback": {**good, "verdict": "reject", "feedback": " \n"},
        "10,001 characters long; at most 10,000": {**good, "feedback": "x" * 10_001},
        "Its by is 201 characters": {**good, "by": "x" * 201},
        "verdict Input should be 'approve' or 'reject'": {**good, "verdict": "perhaps"},
        "verdict Field required": {"digest": pending.digest},
        "valid dictionary": None,
        "It is no JSON object": "approve",
    }
    for word, decision in refused.items():
        assert word in await refusal_of(handle, decision)

    assert await runs.count_of(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED) == 0
    assert (await runs.status_of(handle)).step == "wait for approval 1"
    await decide(handle, pending, verdict="approve")
    assert (await runs.result_of(handle)).status == "approved"


async def test_a_decision_is_made_once(
    client: Client, database: Database, simulator: Simulator
) -> None:
    task_id = await new_task(database)
    handle = await start(client, task_id)
    pending = await waiting(handle)
    rejection = {"verdict": "reject", "digest": pending.digest, "feedback": "Longer."}
    people = [{**rejection, "by": "Ann"}, {**rejection, "by": "Bo"}]

    async with simulator.faults(task_id, {"kind": "latency", "latency_s": 1}):
        given = await asyncio.gather(
            *(submit(handle, decision) for decision in people), return_exceptions=True
        )
        while_revising = await refusal_of(handle, people[0])
        other = await refusal_of(handle, {**rejection, "digest": "0123456789abcdef"})
    second = await waiting(handle, 2)

    taken = [one for one in given if isinstance(one, TakenDecision)]
    (refused,) = [one for one in given if isinstance(one, WorkflowUpdateFailedError)]
    (row, _) = await rows_of(database, handle)
    assert [one.by for one in taken] == [row.decided_by]
    already = f"Revision 1 was rejected by {row.decided_by} already"
    assert already in str(refused.cause)
    assert already in while_revising
    assert "Nothing waits for a decision now" in other
    await decide(handle, second, verdict="approve")
    assert (await runs.result_of(handle)).status == "approved"
