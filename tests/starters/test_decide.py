"""What `durable-agents decide` does with a run by its id, and what it refuses."""

import asyncio
import secrets
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.reviews import digest_of
from durable_agents.models import queues
from durable_agents.models.approval import Decision, PendingApproval
from durable_agents.models.errors import ConfigurationError, DecisionRefusedError, NotFoundError
from durable_agents.models.review import ReviewInput, ReviewResult
from durable_agents.models.tracked import TrackedInput
from durable_agents.runtime.settings import Settings
from starters import decide
from starters.decide import Waiting, content_of, submit, waiting_of
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")

Handle = WorkflowHandle[Any, Any]


async def start(client: Client) -> Handle:
    request = ReviewInput(task_id="task-5")
    return await runs.start(client, "ReviewWorkflow", request, result_type=ReviewResult)


async def waiting(client: Client, handle: Handle, revision: int = 1) -> Waiting:
    await runs.until_step(handle, f"wait for approval {revision}")
    return await waiting_of(client, handle.id)


def of(handle: Handle) -> Waiting:
    """A run as it is read before it waits."""
    run_id = handle.first_execution_run_id or ""
    return Waiting(handle.id, run_id, PendingApproval(subject="task-5", digest="0"))


async def test_a_run_is_decided_by_its_id(client: Client) -> None:
    handle = await start(client)
    read = await waiting(client, handle)

    decision = Decision(verdict="approve", digest=read.pending.digest, by="Ann")
    taken = await submit(client, read, decision)

    assert taken.sentence() == "revision 1 was approved by Ann"
    assert (await runs.result_of(handle)).status == "approved"


async def test_an_unknown_run_is_refused(client: Client) -> None:
    with pytest.raises(NotFoundError, match="There is no run nobody-knows-it"):
        await waiting_of(client, "nobody-knows-it")


async def test_a_run_that_does_not_wait_yet_is_refused(
    client: Client, simulator: Simulator
) -> None:
    async with simulator.faults("Write release notes", {"kind": "latency", "latency_s": 1}):
        handle = await start(client)
        await runs.until_step(handle, "process")

        with pytest.raises(DecisionRefusedError, match="does not wait for a decision now"):
            await waiting_of(client, handle.id)
        with pytest.raises(DecisionRefusedError, match="Nothing waits for a decision now"):
            await submit(client, of(handle), Decision(verdict="approve", digest="0"))
        await handle.terminate()


async def test_a_run_that_was_decided_is_refused_with_who_decided(client: Client) -> None:
    handle = await start(client)
    read = await waiting(client, handle)
    decision = Decision(verdict="approve", digest=read.pending.digest, by="Ann")
    await submit(client, read, decision)
    await runs.result_of(handle)

    with pytest.raises(
        DecisionRefusedError, match=r"has ended \(completed\).*Revision 1 was approved by Ann"
    ):
        await waiting_of(client, handle.id)
    with pytest.raises(DecisionRefusedError, match="has ended"):
        await submit(client, read, decision)


async def test_a_stale_digest_is_refused(client: Client) -> None:
    handle = await start(client)
    read = await waiting(client, handle)

    with pytest.raises(DecisionRefusedError, match="about another text"):
        await submit(client, read, Decision(verdict="approve", digest="0123"))
    await handle.terminate()


async def test_a_text_that_was_revised_since_it_was_read_is_not_decided(client: Client) -> None:
    handle = await start(client)
    read = await waiting(client, handle)
    digest = read.pending.digest
    rejection = Decision(verdict="reject", digest=digest, by="Bo", feedback="Shorter.")
    await submit(client, read, rejection)
    await waiting(client, handle, 2)

    with pytest.raises(DecisionRefusedError, match=rf"another text \(digest {digest}\) than the"):
        await submit(client, read, Decision(verdict="approve", digest=digest, by="Ann"))
    assert (await waiting(client, handle, 2)).pending.revision == 2
    await handle.terminate()


async def test_a_later_run_of_the_same_id_is_not_decided(client: Client) -> None:
    handle = await start(client)
    read = await waiting(client, handle)
    await handle.terminate()
    again: Handle = await client.start_workflow(
        "ReviewWorkflow", ReviewInput(task_id="task-5"), id=handle.id, task_queue=queues.WORKFLOWS
    )
    later = await waiting(client, again)
    decision = Decision(verdict="approve", digest=read.pending.digest, by="Ann")

    with pytest.raises(DecisionRefusedError, match="has ended"):
        await submit(client, read, decision)
    assert later.pending.digest == read.pending.digest  # the simulator says the same again
    assert later.run_id != read.run_id
    await again.terminate()


async def test_a_text_that_is_not_the_one_the_run_asks_about_is_not_shown(
    client: Client, settings: Settings
) -> None:
    handle = await start(client)
    pending = (await waiting(client, handle)).pending

    content = await content_of(settings, pending)

    assert digest_of(content, pending.revision) == pending.digest
    with pytest.raises(DecisionRefusedError, match="is not the one that the run asks about"):
        await content_of(settings, pending.model_copy(update={"digest": "0123"}))
    await handle.terminate()


async def test_a_run_of_a_workflow_that_asks_nobody_is_refused(client: Client) -> None:
    handle = await runs.start(client, "TrackedWorkflow", TrackedInput(task_id="task-1"))

    with pytest.raises(DecisionRefusedError, match="TrackedWorkflow, which asks nobody"):
        await waiting_of(client, handle.id)
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
        waiting_of(client, handle.id),
        submit(client, of(handle), Decision(verdict="approve")),
    ):
        with pytest.raises(ConfigurationError, match="No worker answers"):
            await asyncio.wait_for(asking, 5)
    await handle.terminate()
