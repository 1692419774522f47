"""A long document: time, the worker's memory, the history, the largest payload.

    python -m benchmarks.documents [--megabytes 1 5]

The same worker process analyses documents of growing length, one after the other. Its memory
is its resident set, sampled four times a second; what grows with the document is the work and
the history (up to its bound), not the memory and not the payloads.
"""

import argparse
import asyncio
import random
import secrets
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import text

from benchmarks.bench import Bench, Clock, WorkerProcess, bench, cpu_of_tree, our_worker, pid_named
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult

SAMPLE_EVERY_S = 0.25
WORDS = [
    "depot",
    "driver",
    "parcel",
    "route",
    "invoice",
    "customer",
    "delay",
    "report",
    "region",
    "monitor",
    "contract",
    "price",
    "warehouse",
    "happy",
    "angry",
    "excellent",
    "terrible",
    "late",
    "early",
    "small",
    "large",
    "northern",
    "southern",
    "weekly",
]
_INSERT = text(
    "INSERT INTO documents (document_id, title, source, content, content_hash)"
    " VALUES (:id, 'A long report', 'benchmark', :content, md5(:content))"
)


async def main(megabytes: Sequence[float]) -> None:
    """Measure and print."""
    async with bench() as parts, our_worker(parts) as worker:
        database = Database(parts.settings.database_url.get_secret_value())
        await _analyse(parts, database, worker, 0.05)  # what every first run pays
        for size in megabytes:
            await _analyse(parts, database, worker, size)
        await database.close()


async def _analyse(
    parts: Bench, database: Database, worker: WorkerProcess, megabytes: float
) -> None:
    document_id = f"long-{secrets.token_hex(4)}"
    async with database.statement() as connection:
        values = {"id": document_id, "content": _content(int(megabytes * 1_000_000))}
        await connection.execute(_INSERT, values)
    simulator = pid_named(parts, "simulator")
    before = worker.cpu(), cpu_of_tree(simulator)
    memory = [worker.resident_mib()]
    watch = asyncio.ensure_future(_watch(worker, memory))
    clock = Clock()
    handle = await parts.client.start_workflow(
        "DocumentAnalysisWorkflow",
        DocumentAnalysisInput(document_id=document_id),
        id=document_id,
        task_queue=queues.WORKFLOWS,
        result_type=DocumentAnalysisResult,
    )
    result = await handle.result()
    seconds = clock.seconds()
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    events = (await handle.fetch_history()).events
    print(
        f"{result.chars / 1e6:.2f} MB, {result.sections} sections, {result.usage.calls} model "
        f"calls: {seconds:.1f} s; CPU: worker {worker.cpu() - before[0]:.1f} s, simulator "
        f"{cpu_of_tree(simulator) - before[1]:.1f} s; worker's memory {memory[0]:.0f} MiB before, "
        f"{max(memory):.0f} MiB at most; {len(events)} events, "
        f"{sum(event.ByteSize() for event in events) / 1024:.0f} KiB, the largest "
        f"{max(event.ByteSize() for event in events) / 1024:.1f} KiB"
    )


async def _watch(worker: WorkerProcess, memory: list[float]) -> None:
    while True:
        memory.append(worker.resident_mib())
        await asyncio.sleep(SAMPLE_EVERY_S)


def _content(chars: int) -> str:
    """Sentences that differ, in paragraphs."""
    chance = random.Random(7)
    parts, length = list[str](), 0
    while length < chars:
        words = " ".join(chance.choices(WORDS, k=chance.randint(6, 14)))
        end = "\n\n" if chance.random() < 0.1 else " "
        parts.append(f"The {words} {len(parts)}.{end}")
        length += len(parts[-1])
    return "".join(parts)[:chars]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, nargs="*", default=[1, 5])
    given = parser.parse_args()
    asyncio.run(main(given.megabytes))
