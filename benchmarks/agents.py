"""Many agents at once with a model that takes one second, and one agent with many rounds.

    python -m benchmarks.agents [--runs 50 200] [--pairs 1] [--long 300]

Wall time is set against the ideal, in which nothing but the model takes time; CPU seconds are
those of the worker process and of the Temporal server for each round. A round is a model call
and, but for the last, a tool call and its observation. The same on plain Temporal, with a sleep
for the model and empty activities for the rest, runs in turn with it. The long run tells
whether round 300 still costs what round 20 did, with the model answering at once.
"""

import argparse
import asyncio
import secrets
import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpx2
from temporalio.client import Client

from benchmarks.bench import (
    Bench,
    Clock,
    WorkerProcess,
    bench,
    cpu_of_tree,
    our_worker,
    pid_named,
    run_react,
    worker_process,
)
from benchmarks.plain import QUEUE, SLOW_S, PlainAgentWorkflow
from durable_agents.models import queues
from durable_agents.models.react import ReActInput

ROUNDS = 5
MODEL_S = SLOW_S
SETTLE_S = 0.5


async def main(runs: Sequence[int], long: int, pairs: int) -> None:
    """Measure and print."""
    async with bench() as parts:
        plain_argv = ["-m", "benchmarks.plain", parts.settings.temporal_address]
        async with (
            our_worker(parts) as ours,
            worker_process(plain_argv, {}, ready=False) as plain,
        ):
            await asyncio.gather(*(run_react(parts.client, 2) for _ in range(10)))
            await asyncio.gather(*(_plain_agent(parts.client) for _ in range(10)))
            for count in [count for count in runs for _ in range(pairs)]:
                await _crowd(parts, plain, count, "plain", _plain_agent)
                async with slow_model(parts.settings.simulator_url):
                    await _crowd(parts, ours, count, "ReAct", _agent)
            if long:
                await _long_run(parts.client, long)


async def _agent(client: Client) -> None:
    await run_react(client, ROUNDS - 1)


async def _plain_agent(client: Client) -> None:
    await client.execute_workflow(
        PlainAgentWorkflow.run, ROUNDS, id=f"plain-{secrets.token_hex(6)}", task_queue=QUEUE
    )


async def _crowd(
    parts: Bench,
    worker: WorkerProcess,
    count: int,
    name: str,
    work: Callable[[Client], Awaitable[None]],
) -> None:
    """Run some agents at once."""
    server = pid_named(parts, "temporal")
    before = worker.cpu(), cpu_of_tree(server)
    clock = Clock()
    await asyncio.gather(*(work(parts.client) for _ in range(count)))
    wall = clock.seconds()
    await asyncio.sleep(SETTLE_S)
    after = worker.cpu(), cpu_of_tree(server)
    spent = [(b - a) * 1000 / (count * ROUNDS) for a, b in zip(before, after, strict=True)]
    print(
        f"{name}: {count} runs at once, {ROUNDS} rounds, model {MODEL_S:g} s: {wall:.2f} s, "
        f"{wall / (ROUNDS * MODEL_S):.2f} times the ideal; CPU a round: worker {spent[0]:.1f} ms, "
        f"server {spent[1]:.1f} ms; worker's memory {worker.resident_mib():.0f} MiB"
    )


@asynccontextmanager
async def slow_model(simulator: str) -> AsyncGenerator[None]:
    """Let each answer of the model take a second."""
    async with httpx2.AsyncClient(base_url=simulator, trust_env=False) as http:
        fault = {"route": "chat", "times": -1, "kind": "latency", "latency_s": MODEL_S}
        (await http.post("/_faults", json=fault)).raise_for_status()
        yield
        (await http.delete("/_faults")).raise_for_status()


async def _long_run(client: Client, rounds: int) -> None:
    """One run of many rounds: bytes and time of the rounds around 20 and at the end."""
    workflow_id = f"long-{secrets.token_hex(6)}"
    await client.execute_workflow(
        "ReActWorkflow",
        ReActInput(task=f"simulate {rounds} rounds", max_rounds=rounds + 1),
        id=workflow_id,
        task_queue=queues.WORKFLOWS,
    )
    starts: dict[int, float] = {}
    sizes: dict[int, int] = {}
    number = 0
    async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
        history = await client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
        for event in history.events:
            activity_id = event.activity_task_scheduled_event_attributes.activity_id
            if activity_id.startswith("think-"):
                number = int(activity_id.removeprefix("think-"))
                starts[number] = event.event_time.ToNanoseconds() / 1e6
            sizes[number] = sizes.get(number, 0) + event.ByteSize()
    print(f"One run of {rounds} rounds, the model answering at once")
    for around in (20, rounds - 10):
        span = range(around - 9, around + 10)
        times = [starts[n + 1] - starts[n] for n in span if n + 1 in starts]
        size = statistics.median(sizes[n] for n in span)
        print(f"  around round {around}: {statistics.median(times):.1f} ms, {size:.0f} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="*", default=[50, 200])
    parser.add_argument("--long", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(main(given.runs, given.long, given.pairs))
