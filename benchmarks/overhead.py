"""What a ReAct round costs beside three no-op activities on plain Temporal.

    python -m benchmarks.overhead [--pairs 10]

Both run against the same server, in turn (A B A B …), each in a worker process of its own. CPU
seconds are those of the worker and of the Temporal server, taken from the kernel; PostgreSQL
and the simulator, which plain Temporal does not have, are shown apart. The second table gives
the bytes of history that a round adds, from the events as the server stores them.
"""

import argparse
import asyncio
import secrets
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from temporalio.api.history.v1 import HistoryEvent
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
    spread,
    worker_process,
)
from benchmarks.plain import QUEUE, PlainQueuesWorkflow, PlainWorkflow
from durable_agents.models import queues
from durable_agents.models.react import ReActInput

RUNS = 10
ROUNDS = 10
SETTLE_S = 0.3  # the server writes visibility and timers after the answer


@dataclass(frozen=True)
class Sample:
    """CPU milliseconds of one round: worker and server, database, simulator; wall seconds."""

    temporal_ms: float
    worker_ms: float
    database_ms: float
    simulator_ms: float
    wall_s: float


async def main(pairs: int) -> None:
    """Measure and print."""
    async with bench() as parts:
        address = parts.settings.temporal_address
        plain_argv = ["-m", "benchmarks.plain", address]
        async with (
            our_worker(parts) as ours,
            worker_process(plain_argv, {}, ready=False) as plain,
        ):
            turns = ((plain, _plain_runs), (plain, _plain_queue_runs), (ours, _react_runs))
            for worker, work in turns:  # to warm up
                await _sample(parts, worker, work)
            rows = [[await _sample(parts, *turn) for turn in turns] for _ in range(pairs)]
            _print_cpu(rows)
            await _print_latency(parts.client)
            await _print_bytes(parts.client)


async def _sample(
    parts: Bench, worker: WorkerProcess, work: Callable[[Client], Awaitable[None]]
) -> Sample:
    """Do the work once and take what it cost."""
    others = [pid_named(parts, name) for name in ("temporal", "postgres", "simulator")]
    before = [worker.cpu(), *map(cpu_of_tree, others)]
    clock = Clock()
    await work(parts.client)
    wall = clock.seconds()
    await asyncio.sleep(SETTLE_S)
    after = [worker.cpu(), *map(cpu_of_tree, others)]
    spent = [(b - a) * 1000 / (RUNS * ROUNDS) for a, b in zip(before, after, strict=True)]
    return Sample(spent[1], spent[0], spent[2], spent[3], wall)


async def _plain_runs(client: Client) -> None:
    await _plain(client, PlainWorkflow.run)


async def _plain_queue_runs(client: Client) -> None:
    await _plain(client, PlainQueuesWorkflow.run)


async def _plain(client: Client, flow: Callable[..., Awaitable[int]]) -> None:
    runs = (
        client.execute_workflow(flow, ROUNDS, id=f"plain-{secrets.token_hex(6)}", task_queue=QUEUE)
        for _ in range(RUNS)
    )
    await asyncio.gather(*runs)


async def _react_runs(client: Client) -> None:
    await asyncio.gather(*(run_react(client, ROUNDS) for _ in range(RUNS)))


def _print_cpu(rows: Sequence[Sequence[Sample]]) -> None:
    names = ("plain, one queue", "plain, three queues", "ReAct")
    print(f"CPU milliseconds a round, {RUNS} runs at once, {ROUNDS} rounds each")
    for place, name in enumerate(names):
        samples = [row[place] for row in rows]
        print(
            f"  {name}: worker {spread([s.worker_ms for s in samples])}, "
            f"server {spread([s.temporal_ms for s in samples])}; "
            f"PostgreSQL {statistics.median(s.database_ms for s in samples):.2f}, "
            f"simulator {statistics.median(s.simulator_ms for s in samples):.2f}; "
            f"wall {statistics.median(s.wall_s for s in samples):.2f} s"
        )
    for place, name in enumerate(names[:2]):
        ratios = [_both(row[2]) / _both(row[place]) for row in rows]
        print(f"  ratio ReAct / {name}, worker and server: {spread(ratios)}")


def _both(sample: Sample) -> float:
    return sample.worker_ms + sample.temporal_ms


async def _print_latency(client: Client) -> None:
    """One run alone, the model answering at once."""
    seconds: list[float] = []
    for _ in range(5):
        clock = Clock()
        await run_react(client, 20)
        seconds.append(clock.seconds() / 20 * 1000)
    print(f"One run alone: {spread(seconds, 1)} ms a round")


async def _print_bytes(client: Client) -> None:
    """Bytes of history by round, and what a further call of the same thought adds."""
    workflow_id = await run_react(client, 105)
    events = await _events(client, workflow_id)
    size = _round_sizes(events)
    print("Bytes of history a round, one tool call")
    for number in (2, 20, 100):
        print(f"  round {number}: {size[number]}")
    one, three = await _call_sizes(client)
    print(f"  a further call of the same round: {(three - one) / 2:.0f}")


async def _events(client: Client, workflow_id: str) -> list[HistoryEvent]:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return list(history.events)


def _round_sizes(events: Sequence[HistoryEvent]) -> dict[int, int]:
    """Bytes from the scheduling of each think to that of the next."""
    sizes: dict[int, int] = {}
    number = 0
    for event in events:
        activity_id = event.activity_task_scheduled_event_attributes.activity_id
        if activity_id.startswith("think-"):
            number = int(activity_id.removeprefix("think-"))
        sizes[number] = sizes.get(number, 0) + event.ByteSize()
    return sizes


async def _call_sizes(client: Client) -> tuple[int, int]:
    """Bytes of a first round with one call, and with three."""
    sizes: list[int] = []
    for task in ("What is 1 + 2?", "What is 1 + 2, what is 3 + 4, and what is 5 + 6?"):
        workflow_id = f"bench-{secrets.token_hex(6)}"
        await client.execute_workflow(
            "ReActWorkflow", ReActInput(task=task), id=workflow_id, task_queue=queues.WORKFLOWS
        )
        sizes.append(_round_sizes(await _events(client, workflow_id))[1])
    return sizes[0], sizes[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    asyncio.run(main(parser.parse_args().pairs))
