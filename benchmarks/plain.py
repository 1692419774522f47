"""The yardstick: a round of three no-op activities, hand-written on plain Temporal.

`python -m benchmarks.plain ADDRESS` runs its worker, with the SDK's defaults, until killed.
`PlainWorkflow` has all three on the workflow's own task queue, where they start eagerly;
`PlainQueuesWorkflow` has two of them on queues of their own, as model calls and tools have.
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "plain"
TIMEOUT = timedelta(seconds=30)
SLOW_S = 1.0
HEARTBEAT_TIMEOUT = timedelta(seconds=5)


@activity.defn
async def first(number: int) -> int:
    """Do nothing."""
    return number


@activity.defn
async def second(number: int) -> int:
    """Do nothing."""
    return number


@activity.defn
async def third(number: int) -> int:
    """Do nothing."""
    return number


@activity.defn
async def slow(number: int) -> int:
    """Take as long as the model of the benchmark."""
    await asyncio.sleep(SLOW_S)
    return number


@workflow.defn
class PlainWorkflow:
    """Some rounds of three activities."""

    @workflow.run
    async def run(self, rounds: int) -> int:
        """Run the rounds."""
        for number in range(rounds):
            for step in (first, second, third):
                await workflow.execute_activity(
                    step,
                    number,
                    start_to_close_timeout=TIMEOUT,
                    retry_policy=RetryPolicy(maximum_attempts=5),
                )
        return rounds


@workflow.defn
class PlainQueuesWorkflow:
    """Some rounds of three activities on three task queues, with heartbeat timeouts."""

    @workflow.run
    async def run(self, rounds: int) -> int:
        """Run the rounds."""
        for number in range(rounds):
            for step, queue in ((first, f"{QUEUE}-1"), (second, f"{QUEUE}-2"), (third, QUEUE)):
                await workflow.execute_activity(
                    step,
                    number,
                    task_queue=queue,
                    start_to_close_timeout=TIMEOUT,
                    heartbeat_timeout=HEARTBEAT_TIMEOUT,
                    retry_policy=RetryPolicy(maximum_attempts=5),
                )
        return rounds


@workflow.defn
class PlainAgentWorkflow:
    """Some rounds of a slow activity and two empty ones; the last has the slow one alone."""

    @workflow.run
    async def run(self, rounds: int) -> int:
        """Run the rounds."""
        for number in range(rounds):
            for step in (slow, second, third) if number + 1 < rounds else (slow,):
                await workflow.execute_activity(
                    step,
                    number,
                    start_to_close_timeout=TIMEOUT,
                    retry_policy=RetryPolicy(maximum_attempts=5),
                )
        return rounds


@workflow.defn
class PlainLaneWorkflow:
    """Some activities on another task queue, one after the other."""

    @workflow.run
    async def run(self, count: int) -> int:
        """Run them."""
        for number in range(count):
            await workflow.execute_activity(
                first,
                number,
                task_queue=f"{QUEUE}-1",
                start_to_close_timeout=TIMEOUT,
                retry_policy=RetryPolicy(maximum_attempts=5),
            )
        return count


WORKFLOWS = [PlainWorkflow, PlainQueuesWorkflow, PlainAgentWorkflow, PlainLaneWorkflow]
SLOTS = 200


async def serve(address: str) -> None:
    """Run the worker."""
    client = await Client.connect(address)
    workers = [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if queue == QUEUE else [],
            activities=[first, second, third, slow],
            max_concurrent_activities=SLOTS,
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        for queue in (QUEUE, f"{QUEUE}-1", f"{QUEUE}-2")
    ]
    await asyncio.gather(*(worker.run() for worker in workers))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
