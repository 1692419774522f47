"""What every workflow has, shown by workflows that have nothing else."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.workflows.runs import LONGEST_S
from workflows.flow import Flow


class Given(BaseModel):
    """How long a run may work."""

    deadline_s: float | None = None


@workflow.defn(name="RestsTwice")
class RestsTwice(Flow):
    """Rests for a moment, twice side by side, and then works for another."""

    @workflow.run
    async def run(self, given: Given) -> str:
        return await self._to_deadline(given.deadline_s, self._work())

    async def _work(self) -> str:
        await asyncio.gather(self._rest(0.1), self._rest(0.2))
        left = self.seconds_left
        await workflow.sleep(0.3)
        return f"{left:.0f}"

    async def _rest(self, seconds: float) -> None:
        with self.off_the_clock():
            await workflow.sleep(seconds)


@pytest.fixture
async def queue(client: Client) -> AsyncIterator[str]:
    """The task queue of a worker that runs them."""
    name = f"flows-{secrets.token_hex(4)}"
    async with Worker(
        client,
        task_queue=name,
        workflows=[RestsTwice],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield name


@pytest.mark.parametrize(("deadline", "left"), [(None, "inf"), (5.0, "5")])
async def test_what_was_left_of_a_deadline_is_left_after_a_rest_and_none_begins_where_there_is_none(
    client: Client, queue: str, deadline: float | None, left: str
) -> None:
    async with asyncio.timeout(LONGEST_S):
        told = await client.execute_workflow(
            RestsTwice.run,
            Given(deadline_s=deadline),
            id=f"rests-{secrets.token_hex(4)}",
            task_queue=queue,
        )

    assert told == left
