"""Priority and fairness on the queues of model calls and tools, on a real server."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_agents.models import queues
from durable_agents.runtime.connection import connect
from durable_agents.runtime.priorities import priority_of
from durable_agents.runtime.settings import Settings
from tests.commanding import make_namespace
from tests.workflows.runs import until

WAIT = timedelta(seconds=60)
LONGEST_S = 60


class Given(BaseModel):
    """Which queue is asked, and how often a run goes on as another one before."""

    queue: str
    rounds: int = 0


@workflow.defn(name="AsksOnce")
class AsksOnce:
    """Asks the model once, and does nothing else."""

    @workflow.run
    async def run(self, given: Given) -> None:
        await workflow.execute_activity("ask", task_queue=given.queue, start_to_close_timeout=WAIT)


@workflow.defn(name="HandsOn")
class HandsOn:
    """Goes on as a new run, and lets a child do the work there."""

    @workflow.run
    async def run(self, given: Given) -> None:
        if given.rounds:
            workflow.continue_as_new(Given(queue=given.queue, rounds=given.rounds - 1))
        await workflow.execute_child_workflow("AsksOnce", given, id=f"{workflow.uuid4()}")


class Served:
    """Keeps for whom calls were made, in order."""

    def __init__(self) -> None:
        self.order: list[Priority] = []

    @activity.defn(name="ask")
    async def ask(self) -> None:
        self.order.append(activity.info().priority)

    def tenants(self) -> list[str | None]:
        return [priority.fairness_key for priority in self.order]


@pytest.fixture
async def apart(client: Client, settings: Settings) -> AsyncIterator[Client]:
    """The server in a namespace that no other worker polls."""
    name = f"turns-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    there = await connect(settings.model_copy(update={"temporal_namespace": name}))
    async with Worker(
        there,
        task_queue=queues.WORKFLOWS,
        workflows=[AsksOnce, HandsOn],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield there


async def begin(client: Client, priority: Priority, queue: str) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        "AsksOnce",
        Given(queue=queue),
        id=f"asks-{secrets.token_hex(6)}",
        task_queue=queues.WORKFLOWS,
        priority=priority,
    )


def handle_waits(handle: WorkflowHandle[Any, Any]) -> Callable[[], Awaitable[bool]]:
    """Whether a run's call is in its queue."""

    async def waits() -> bool:
        return bool((await handle.describe()).raw_description.pending_activities)

    return waits


async def serve(client: Client, queue: str, *groups: tuple[Priority, int]) -> Served:
    """Let calls queue, group behind group, and then make them one by one."""
    handles: list[WorkflowHandle[Any, Any]] = []
    for priority, count in groups:
        begun = await asyncio.gather(*(begin(client, priority, queue) for _ in range(count)))
        await asyncio.gather(*(until(handle_waits(handle), "it queues") for handle in begun))
        handles += begun
    served = Served()
    async with one_by_one(client, queue, served), asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(handle.result() for handle in handles))
    return served


def one_by_one(client: Client, queue: str, served: Served) -> Worker:
    """A worker that makes one call after the other."""
    return Worker(
        client,
        task_queue=queue,
        activities=[served.ask],
        max_concurrent_activities=1,
        max_concurrent_activity_task_polls=1,
    )


@pytest.mark.parametrize("queue", [queues.LLM, queues.TOOLS])
async def test_five_calls_of_a_small_tenant_do_not_wait_behind_a_hundred_of_a_large_one(
    apart: Client, queue: str
) -> None:
    large, small = priority_of("large"), priority_of("small")

    served = await serve(apart, queue, (large, 100), (small, 5))

    places = [place for place, tenant in enumerate(served.tenants()) if tenant == "small"]
    assert len(served.order) == 105
    assert len(places) == 5
    assert max(places) < 20


async def test_who_weighs_more_gets_more_turns(apart: Client) -> None:
    weights = {"heavy": 4.0}
    heavy, light = priority_of("heavy", weights), priority_of("light", weights)

    served = await serve(apart, queues.LLM, (light, 40), (heavy, 40))

    first = Counter(served.tenants()[:40])
    assert first["heavy"] >= 2.5 * first["light"]


async def test_what_is_urgent_comes_before_what_is_not(apart: Client) -> None:
    usual, urgent = priority_of("t"), priority_of("t", priority=1)

    served = await serve(apart, queues.LLM, (usual, 30), (urgent, 3))

    places = [n for n, priority in enumerate(served.order) if priority.priority_key == 1]
    assert len(places) == 3
    assert max(places) < 6


async def test_activities_children_and_the_next_run_have_the_priority_of_the_first(
    apart: Client,
) -> None:
    served = Served()
    given = priority_of("acme", {"acme": 2.5}, priority=2)

    async with one_by_one(apart, queues.LLM, served):
        handle = await apart.start_workflow(
            "HandsOn",
            Given(queue=queues.LLM, rounds=2),
            id=f"hands-on-{secrets.token_hex(6)}",
            task_queue=queues.WORKFLOWS,
            priority=given,
        )
        async with asyncio.timeout(LONGEST_S):
            await handle.result()

    assert served.order == [Priority(priority_key=2, fairness_key="acme", fairness_weight=2.5)]


def test_a_tenant_whose_name_is_too_long_for_the_server_has_a_turn_of_its_own() -> None:
    one, other = (priority_of("ü" * 40 + end).fairness_key or "" for end in "ab")

    assert len(one.encode()) == len(other.encode()) == 64
    assert one != other
    assert priority_of("").fairness_key is None
