"""What `durable-agents decide` does with a run by its id, and what it refuses."""

import asyncio
import secrets
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from durable_agents.models import queues
from durable_agents.models.approval import Decision, PendingApproval
from durable_agents.models.errors import ConfigurationError, DecisionRefusedError, NotFoundError
from durable_agents.models.review import ReviewInput, ReviewResult
from durable_agents.models.tracked import TrackedInput
from starters import decide
from starters.decide import pending_of, submit
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")

Handle = WorkflowHandle[Any, Any]


async def start(client: Client) -> Handle:
    request = ReviewInput(task_id="task-5")
    return await runs.start(client, "ReviewWorkflow", request, result_type=ReviewResult)


async def waiting(client: Client, handle: Handle) -> PendingApproval:
    await runs.until_step(handle, "wait for approval 1")
    return await pending_of(client, handle.id)


async def test_a_run_is_decided_by_its_id(client: Client) -> None:
    handle = await start(client)
    pending = await waiting(client, handle)

    decision = Decision(verdict="approve", digest=pending.digest, by="Ann")
    taken = await submit(client, handle.id, decision)

    assert taken.sentence() == "revision 1 was approved by Ann"
    assert (await runs.result_of(handle)).status == "approved"


async def test_an_unknown_run_is_refused(client: Client) -> None:
    with pytest.raises(NotFoundError, match="There is no run nobody-knows-it"):
        await pending_of(client, "nobody-knows-it")


async def test_a_run_that_does_not_wait_yet_is_refused(
    client: Client, simulator: Simulator
) -> None:
    async with simulator.faults("Write release notes", {"kind": "latency", "latency_s": 1}):
        handle = await start(client)
        await runs.until_step(handle, "process")

        with pytest.raises(DecisionRefusedError, match="does not wait for a decision now"):
            await pending_of(client, handle.id)
        with pytest.raises(DecisionRefusedError, match="Nothing waits for a decision now"):
            await submit(client, handle.id, Decision(verdict="approve", digest="0"))
        await handle.terminate()


async def test_a_run_that_was_decided_is_refused_with_who_decided(client: Client) -> None:
    handle = await start(client)
    pending = await waiting(client, handle)
    decision = Decision(verdict="approve", digest=pending.digest, by="Ann")
    await submit(client, handle.id, decision)
    await runs.result_of(handle)

    with pytest.raises(
        DecisionRefusedError, match=r"has ended \(completed\).*Revision 1 was approved by Ann"
    ):
        await pending_of(client, handle.id)
    with pytest.raises(DecisionRefusedError, match="has ended"):
        await submit(client, handle.id, decision)


async def test_a_stale_digest_is_refused(client: Client) -> None:
    handle = await start(client)
    await waiting(client, handle)

    with pytest.raises(DecisionRefusedError, match="about another text"):
        await submit(client, handle.id, Decision(verdict="approve", digest="0123"))
    await handle.terminate()


async def test_a_run_of_a_workflow_that_asks_nobody_is_refused(client: Client) -> None:
    handle = await runs.start(client, "TrackedWorkflow", TrackedInput(task_id="task-1"))

    with pytest.raises(DecisionRefusedError, match="TrackedWorkflow, which asks nobody"):
        await pending_of(client, handle.id)
    await runs.result_of(handle)


async def test_a_run_that_no_worker_answers_for_says_what_to_start(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "QUERY_TIMEOUT_S", 0.3)
    monkeypatch.setattr(decide, "UPDATE_TIMEOUT_S", 0.3)
    handle: Handle = await client.start_workflow(
        "ReviewWorkflow",
        ReviewInput(task_id="task-5"),
        id=f"lonely-{secrets.token_hex(4)}",
        task_queue=f"{queues.WORKFLOWS}-nobody",
    )

    for asking in (
        pending_of(client, handle.id),
        submit(client, handle.id, Decision(verdict="approve")),
    ):
        with pytest.raises(ConfigurationError, match="No worker answers"):
            await asyncio.wait_for(asking, 5)
    await handle.terminate()
