"""A drill: quotas hold over two worker processes, which have far more to do than they allow.

DRILL_SECONDS says for how long it is watched; what was seen is printed (`pytest -s`).
"""

import asyncio
import os
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.agent.quotas import CALLS_AT_ONCE_S, TOKENS_AT_ONCE_S
from durable_agents.db.engine import Database
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from tests.commanding import Commands, WorkerService, folder_for_commands, make_namespace
from tests.steering import Simulator
from tests.workflows import runs

SECONDS = float(os.environ.get("DRILL_SECONDS", "12"))
PER_SECOND = 5
PER_MINUTE = 90_000
LARGEST_CALL = 4000  # tokens that an agent's call takes at most, in these runs


@dataclass(frozen=True)
class Drill:
    """Commands and a client in a namespace of their own."""

    command: Commands
    client: Client
    database: Database

    @asynccontextmanager
    async def two_processes(self, **quotas: str) -> AsyncGenerator[WorkerService]:
        """Worker processes with quotas; afterwards nothing of the quotas is left."""
        try:
            async with self.command.worker("--processes", "2", **quotas) as service:
                yield service
        finally:
            async with self.database.statement() as connection:
                await connection.execute(text("DELETE FROM quotas"))

    async def start_runs(self, count: int, word: str) -> None:
        """Start runs whose requests contain a word; nobody waits for their end."""
        for _ in range(0, count, 20):
            await asyncio.gather(
                *(runs.start_react(self.client, f"Say hello to {word}.") for _ in range(20))
            )

    async def ended_runs(self) -> None:
        """End what still runs, so that the workers can stop at once."""
        async for run in self.client.list_workflows('ExecutionStatus="Running"'):
            with suppress(RPCError):  # it has just ended
                await self.client.get_workflow_handle(run.id).terminate()


@pytest.fixture
async def drill(client: Client, settings: Settings, database: Database) -> AsyncIterator[Drill]:
    name = f"quota-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    there = await connect(settings.model_copy(update={"temporal_namespace": name}))
    with folder_for_commands() as folder:
        command = Commands(settings, Path(folder), TEMPORAL_NAMESPACE=name)
        begun = Drill(command, there, database)
        yield begun
        await begun.ended_runs()


async def test_five_calls_a_second_are_five_calls_a_second_over_two_processes(
    drill: Drill, simulator: Simulator
) -> None:
    word = runs.token()

    async with drill.two_processes(QUOTAS=f"default={PER_SECOND}") as service:
        await drill.start_runs(int(PER_SECOND * (SECONDS + 10)), word)
        times = await _times(simulator, word, SECONDS)
        metrics = (await service.get("/metrics")).text
        await drill.ended_runs()

    counted = bisect_left(times, times[0] + SECONDS)
    most = most_within(times, 1)
    print(
        f"{counted} calls in {SECONDS:g} s, {counted / SECONDS:.2f} a second; at most {most} in one"
    )
    assert 0.5 * PER_SECOND * SECONDS <= counted <= 1.1 * PER_SECOND * SECONDS
    assert most <= PER_SECOND * (1 + CALLS_AT_ONCE_S) + 2  # two that were on their way
    assert waits_told(metrics) > 0


async def test_a_models_tokens_a_minute_hold_over_two_processes(
    drill: Drill, simulator: Simulator, database: Database
) -> None:
    word, rate = runs.token(), PER_MINUTE / 60

    async with drill.two_processes(MODEL_TOKENS_PER_MINUTE=f"{SIMULATOR_MODEL}={PER_MINUTE}"):
        await drill.start_runs(int(rate / 500 * (SECONDS + 10)), word)
        times = await _times(simulator, word, SECONDS)
        await drill.ended_runs()

    within = bisect_left(times, times[0] + SECONDS)
    used = within * await _tokens_of_a_call(database, word)
    print(
        f"{used:.0f} tokens in {SECONDS:g} s, {used / SECONDS * 60:.0f} a minute of {PER_MINUTE}; "
        f"{within} calls"
    )
    assert used <= rate * (SECONDS + TOKENS_AT_ONCE_S) + LARGEST_CALL
    assert used >= 0.5 * rate * SECONDS


async def _times(simulator: Simulator, word: str, seconds: float) -> Sequence[float]:
    """When calls came, from the first on, once they have been coming for some seconds."""
    found: list[float] = []

    async def watched() -> bool:
        nonlocal found
        found = [call["at"] for call in await simulator.calls(word)]
        return len(found) > 1 and found[-1] > found[0] + seconds

    await runs.until(watched, "the calls come", within=seconds + 60)
    return found


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most that came within any so many seconds."""
    return max(bisect_right(times, first + seconds) - place for place, first in enumerate(times))


def waits_told(metrics: str) -> float:
    """How many waits the merged metrics of the processes count."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name.endswith("durable_agents_quota_wait_seconds_count")
        or sample.name.endswith("durable_agents_quota_wait_count")
    )


async def _tokens_of_a_call(database: Database, word: str) -> float:
    """The mean of what the calls of the last runs used."""
    query = text(
        "SELECT avg(input_tokens + output_tokens) FROM llm_calls"
        " WHERE outcome = 'ok' AND created_at > now() - interval '30 s'"
    )
    async with database.statement() as connection:
        return float(await connection.scalar(query) or 0)
