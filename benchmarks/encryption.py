"""What encryption costs: CPU of a ReAct round with PAYLOAD_KEYS and without.

    python -m benchmarks.encryption [--pairs 10]

Two workers, each in a namespace of its own on the same server, take turns (A B A B …). CPU seconds
are those of the worker process, taken from the kernel, and those of worker, server, database and
simulator together, which is what a round costs in all.
"""

import argparse
import asyncio
import statistics
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from benchmarks.bench import (
    Bench,
    WorkerProcess,
    bench,
    cpu_of_tree,
    our_worker,
    pid_named,
    run_react,
    spread,
)
from durable_agents.runtime.connection import connect
from durable_agents.runtime.encryption import ENCODING, made_key
from durable_agents.runtime.settings import Settings
from tests.commanding import make_namespace

RUNS = 10
ROUNDS = 10
SETTLE_S = 0.3  # the server writes visibility and timers after the answer
NAMES = ("without keys", "with keys")


@dataclass(frozen=True)
class Side:
    """A client and a worker of one namespace."""

    client: Client
    worker: WorkerProcess


async def main(pairs: int) -> None:
    """Measure and print."""
    async with (
        bench() as parts,
        _side(parts, "plain", "") as plain,
        _side(parts, "sealed", made_key("bench")) as sealed,
    ):
        sides = (plain, sealed)
        for side, encrypts in zip(sides, (False, True), strict=True):
            await _sample(parts, side)  # to warm up
            await _check(side.client, encrypts=encrypts)
        rows = [[await _sample(parts, side) for side in sides] for _ in range(pairs)]
        _tell(rows)


@asynccontextmanager
async def _side(parts: Bench, namespace: str, keys: str) -> AsyncGenerator[Side]:
    await make_namespace(parts.client, namespace)
    told = {"temporal_namespace": namespace, "payload_keys": keys}
    client = await connect(Settings.model_validate({**parts.settings.model_dump(), **told}))
    variables = {name.upper(): value for name, value in told.items()}
    async with our_worker(parts, variables) as worker:
        yield Side(client, worker)


async def _check(client: Client, *, encrypts: bool) -> None:
    """See that a side does what its name says: a `.env` with keys would count for both workers."""
    handle = client.get_workflow_handle(await run_react(client, 1))
    first, *_, last = [event async for event in handle.fetch_history_events()]
    given = first.workflow_execution_started_event_attributes.input.payloads[0]
    made = last.workflow_execution_completed_event_attributes.result.payloads[0]
    if {one.metadata["encoding"] == ENCODING for one in (given, made)} != {encrypts}:
        raise SystemExit(f"The histories of {client.namespace} are not as they have to be.")


async def _sample(parts: Bench, side: Side) -> tuple[float, float]:
    """CPU milliseconds of a round: of the worker, and of all parts."""
    others = [pid_named(parts, name) for name in ("temporal", "postgres", "simulator")]
    before = [side.worker.cpu(), *map(cpu_of_tree, others)]
    await asyncio.gather(*(run_react(side.client, ROUNDS) for _ in range(RUNS)))
    await asyncio.sleep(SETTLE_S)
    after = [side.worker.cpu(), *map(cpu_of_tree, others)]
    spent = [(b - a) * 1000 / (RUNS * ROUNDS) for a, b in zip(before, after, strict=True)]
    return spent[0], sum(spent)


def _tell(rows: Sequence[Sequence[tuple[float, float]]]) -> None:
    print(f"CPU milliseconds a round, {RUNS} runs at once, {ROUNDS} rounds each")
    for place, name in enumerate(NAMES):
        worker, total = zip(*(row[place] for row in rows), strict=True)
        print(f"  {name}: worker {spread(worker)}, all parts {spread(total)}")
    for number, what in enumerate(("worker", "all parts")):
        plain = statistics.median(row[0][number] for row in rows)
        sealed = statistics.median(row[1][number] for row in rows)
        ratios = [row[1][number] / row[0][number] for row in rows]
        print(
            f"  {what}: {(sealed / plain - 1) * 100:+.1f} % between the medians; "
            f"ratios of pairs {spread(ratios, 3)}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    asyncio.run(main(parser.parse_args().pairs))
