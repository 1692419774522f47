"""What waiting for people costs: the list, the way of a decision, the memory of waiting runs.

    python -m benchmarks.approvals [--waiting 1000] [--decisions 50]

Starts servers of its own and, in this process, one worker of all roles with its usual cache. So
many runs are started that each wait for leave to file a ticket; then the list of what waits is
read as the page reads it, and decisions are sent one by one as the page sends them. Then worker,
Temporal server and database are started anew, and all that wait are decided.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowHandle
from temporalio.service import RPCError

from durable_agents.clients.signatures import signature_of
from durable_agents.db import approval_lists, people
from durable_agents.db.approval_lists import RequestSummary
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.approval import Decision, TakenDecision
from durable_agents.models.people import Person
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.settings import Settings
from tests.conftest import running_services, running_workers

AT_ONCE = 20
LISTS = 50
PAGE = 50
MOST_S_EACH = 1
TRIES = 30
PERSON = "judge"


async def in_parts(works: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Do works, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(work: Callable[[], Awaitable[object]]) -> None:
        async with turn:
            await work()

    await asyncio.gather(*(one(work) for work in works))


def start(client: Client, number: int) -> Callable[[], Awaitable[object]]:
    """Start a run that asks before it files a ticket."""

    async def work() -> object:
        task = f"file a ticket for account A-1001: printer {number} is on fire"
        return await client.start_workflow(
            "ReActWorkflow",
            ReActInput(task=task, asked_by="benchmark"),
            id=f"waiting-{number}",
            task_queue=queues.WORKFLOWS,
        )

    return work


async def until_waiting(database: Database, person: Person, count: int) -> None:
    """Wait until so many requests wait."""
    most = time.monotonic() + 60 + count * MOST_S_EACH
    which, waiting = approval_lists.meant_for(person), 0
    while time.monotonic() < most:
        async with database.statement() as connection:
            waiting = await approval_lists.count_requests(connection, which=which)
        if waiting >= count:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"only {waiting} of {count} requests wait")


async def list_ms(database: Database, person: Person) -> list[float]:
    """How long one page of the list takes, with the count of all, in milliseconds."""
    which, took = approval_lists.meant_for(person), list[float]()
    for _ in range(LISTS):
        began = time.perf_counter()
        async with database.statement() as connection:
            await approval_lists.list_requests(connection, which=which, limit=PAGE)
            await approval_lists.count_requests(connection, which=which)
        took.append((time.perf_counter() - began) * 1000)
    return took


async def decide(client: Client, key: str, request: RequestSummary) -> float:
    """Send a signed approval as the page does; how long until the run has taken it, in ms."""
    decision = Decision(verdict="approve", digest=request.digest, by=PERSON, via="page")
    signature = signature_of(key, decision, workflow_id=request.workflow_id, run_id=request.run_id)
    handle = client.get_workflow_handle(request.workflow_id)
    began = time.perf_counter()
    taken = await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
        "submit_decision",
        decision.model_copy(update={"signature": signature}),
        id=f"decide-{request.run_id}",  # sent again, it is the same update
        result_type=TakenDecision,
    )
    took = (time.perf_counter() - began) * 1000
    if not taken.verified:
        raise RuntimeError("the decision was not verified")
    return took


async def decide_in_the_end(client: Client, key: str, one: RequestSummary) -> None:
    """Decide as a person would on a machine that is too busy: again, when it did not answer."""
    for _ in range(TRIES):
        try:
            await decide(client, key, one)
        except (RPCError, RPCTimeoutOrCancelledError):
            await asyncio.sleep(1)
        else:
            return
    raise RuntimeError(f"{one.workflow_id} took no decision in {TRIES} tries")


def resident_mb() -> float:
    """The memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def told(name: str, values: Sequence[float], unit: str) -> None:
    """Print a median with its spread."""
    low, high = min(values), max(values)
    sys.stdout.write(
        f"{name}: median {statistics.median(values):.1f} {unit} ({low:.1f} to {high:.1f})\n"
    )


async def wait(settings: Settings, waiting: int, decisions: int) -> list[RequestSummary]:
    """Measure while so many wait; gives the requests on which nobody has decided."""
    client, key = await connect(settings), settings.signing_key.get_secret_value()
    database = Database(settings.database_url.get_secret_value())
    try:
        async with database.statement() as connection:
            person = await people.add_user(connection, PERSON)
        async with running_workers(client, settings):
            for part in (range(waiting // 2), range(waiting // 2, waiting)):
                await in_parts([start(client, number) for number in part])
                await until_waiting(database, person, part.stop)
                sys.stdout.write(f"{part.stop} runs wait: worker {resident_mb():.0f} MB\n")
            told(f"list with {waiting} waiting", await list_ms(database, person), "ms")
            async with database.statement() as connection:
                open_ = await approval_lists.list_requests(
                    connection, which=approval_lists.meant_for(person), limit=waiting
                )
            took = [await decide(client, key, one) for one in open_[-decisions:]]
            told("decision to its run", took, "ms")
            sys.stdout.flush()
            return open_[:-decisions]
    finally:
        await database.close()


async def resume(settings: Settings, rest: Sequence[RequestSummary]) -> None:
    """Measure until the rest is decided and every run has ended."""
    client, key = await connect(settings), settings.signing_key.get_secret_value()
    async with running_workers(client, settings):
        began = time.perf_counter()
        await in_parts([lambda one=one: decide_in_the_end(client, key, one) for one in rest])
        handles: list[WorkflowHandle[object, ReActResult]] = [
            client.get_workflow_handle(one.workflow_id, result_type=ReActResult) for one in rest
        ]
        ended = [await handle.result() for handle in handles]
        good = sum(one.stopped == "answered" for one in ended)
        seconds = time.perf_counter() - began
        sys.stdout.write(
            f"after a restart of everything {good} of {len(rest)} were decided and ended, "
            f"in {seconds:.0f} s from when the worker was up; worker {resident_mb():.0f} MB\n"
        )


async def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.approvals")
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--decisions", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="da-bench-") as folder:
        try:
            async with running_services(state_dir=Path(folder)) as services:
                rest = await wait(services.settings, given.waiting, given.decisions)
            async with running_services(state_dir=Path(folder)) as services:
                await resume(services.settings, rest)
        finally:
            remove_home(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
