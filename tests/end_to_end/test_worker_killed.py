"""Workers as a service, killed with SIGKILL and drained with SIGTERM, on servers of their own."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType

from durable_agents.models.approval import ApprovalState, Decision
from durable_agents.models.review import ReviewInput, ReviewResult
from durable_agents.runtime.embedded.ports import free_port
from tests.workflows import runs
from tests.world import READY_S, World, own_world, supervisor

NEXT_STEP_S = 10  # what we promise after a worker was killed


@pytest.fixture(scope="module")
async def world(_no_foreign_environment: None) -> AsyncIterator[World]:
    async with own_world() as running:
        yield running


async def until_calls(world: World, match: str, count: int, route: str = "chat") -> None:
    async def there() -> bool:
        return len(await world.simulator.calls(match, route)) >= count

    await runs.until(there, f"{count} calls with {match}", within=NEXT_STEP_S + 5)


async def count_of(world: World, query: str, **values: object) -> int:
    async with world.database.statement() as connection:
        return int(await connection.scalar(text(query), values) or 0)


async def tickets_about(world: World, word: str) -> int:
    query = "SELECT count(*) FROM tickets WHERE description LIKE :word"
    return await count_of(world, query, word=f"%{word}%")


async def test_a_worker_killed_between_think_and_act_loses_nothing_and_repeats_nothing(
    world: World,
) -> None:
    word = runs.token()
    task = f"My account is A-1001. Please file a ticket: my monitor {word} is broken."

    async with supervisor(world, "workflows", "llm") as running:  # nobody runs tools yet
        handle = await world.start(task, agent="support", user_id="A-1001")
        await runs.until_step(handle, "lookup_account 1.1, file_ticket 1.2")
        await running.kill_worker()
        async with supervisor(world, "tools"):
            result = await runs.result_of(handle)

    assert "has been filed" in result.answer
    assert await tickets_about(world, word) == 1
    assert len(await world.simulator.calls(word)) == 2
    assert [await runs.attempts_of(handle, f"think-{round_}") for round_ in (1, 2)] == [1, 1]


async def test_a_worker_killed_inside_a_model_call_asks_again_within_ten_seconds(
    world: World,
) -> None:
    word = runs.token()

    async with (
        supervisor(world) as running,
        world.simulator.faults(word, {"kind": "hang"}),
    ):
        handle = await world.start(f"What is 6 * 7? {word}")
        await until_calls(world, word, 1)
        await running.kill_worker()
        restarted = time.monotonic()
        await until_calls(world, word, 2)
        waited = time.monotonic() - restarted
        result = await runs.result_of(handle)

    assert waited < NEXT_STEP_S
    assert "42" in result.answer
    assert result.usage.calls == 2
    assert len(await world.simulator.calls(word)) == 3


async def test_a_worker_killed_inside_a_tool_runs_it_again_within_ten_seconds(
    world: World,
) -> None:
    hang = {"kind": "hang", "route": "weather"}

    async with (
        supervisor(world) as running,
        world.simulator.faults("name=Athens", hang),
    ):
        handle = await world.start("What is the weather in Athens?")
        await until_calls(world, "name=Athens", 1, "weather")
        await running.kill_worker()
        restarted = time.monotonic()
        await until_calls(world, "name=Athens", 2, "weather")
        waited = time.monotonic() - restarted
        result = await runs.result_of(handle)

    assert waited < NEXT_STEP_S
    assert "Athens" in result.answer
    assert [call.outcome for call in result.tool_calls] == ["done"]


async def test_a_worker_killed_inside_a_mutation_files_one_ticket(world: World) -> None:
    word = runs.token()
    task = f"Please file a ticket: my monitor {word} is broken."
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tickets'::regclass"

    async with supervisor(world) as running:
        async with world.database.transaction() as connection:
            await connection.execute(text("LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE"))
            handle = await world.start(task, agent="support")

            async def inside() -> bool:
                return await count_of(world, waits) > 0

            await runs.until(inside, "the tool waits for the table")
            os.kill(await running.worker(), signal.SIGKILL)
        result = await runs.result_of(handle)

    assert "has been filed" in result.answer
    assert await tickets_about(world, word) == 1


async def test_a_worker_that_is_killed_again_and_again_gives_one_answer(world: World) -> None:
    word = runs.token()

    async with supervisor(world) as running:
        handle = await world.start(f"Please simulate 8 rounds. {word}", max_rounds=9)
        for _ in range(2):
            await asyncio.sleep(0.15)
            await running.kill_worker()
        result = await runs.result_of(handle)

    assert result.stopped == "answered"
    assert (result.rounds, result.tool_calls_made) == (9, 8)
    observed = "SELECT count(*) FROM messages WHERE thread_id = :id AND role = 'tool'"
    assert await count_of(world, f"{observed} AND position >= 0", id=result.thread) == 8
    assert "1 + 7 = 8" in result.answer


async def test_a_worker_killed_while_a_run_waits_for_a_person_changes_nothing(
    world: World,
) -> None:
    request = ReviewInput(task_id="task-5")

    async with supervisor(world) as running:
        handle = await runs.start(world.client, "ReviewWorkflow", request, result_type=ReviewResult)
        await runs.until_step(handle, "wait for approval 1")
        state = await handle.query("approval", result_type=ApprovalState)
        assert state.pending is not None
        os.kill(await running.worker(), signal.SIGKILL)
        # The signal comes while nobody works on the run.
        decision = Decision(verdict="approve", digest=state.pending.digest, by="Ann")
        await handle.signal("decide", decision)
        result = await runs.result_of(handle)

    assert (result.status, result.decided_by) == ("approved", "Ann")
    assert await runs.attempts_of(handle, "process") == 1


async def test_sigterm_lets_what_is_at_work_end_and_the_next_worker_goes_on(world: World) -> None:
    word = runs.token()
    slow = {"kind": "latency", "latency_s": 1.5}

    async with world.simulator.faults(word, slow):
        async with supervisor(world) as running:
            handle = await world.start(f"What is 6 * 7? {word}")
            await until_calls(world, word, 1)
            os.kill(running.child.pid, signal.SIGTERM)
            ended = await running.child.wait()
        drained = await runs.count_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
        async with supervisor(world):
            result = await runs.result_of(handle)

    assert ended.exit_code == 0
    assert drained == 2  # open-thread, and the call that was at work
    assert "42" in result.answer
    assert await runs.attempts_of(handle, "think-1") == 1
    assert len(await world.simulator.calls(word)) == 2


async def test_metrics_of_the_worker_are_served_by_its_supervisor(world: World) -> None:
    async with supervisor(world) as running, httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(running.health.replace("/healthz", "/metrics"))

    assert answer.status_code == 200
    assert 'process="0"' in answer.text
    assert "temporal_worker" in answer.text


async def test_a_worker_without_a_server_ends_with_one_line_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers",
        cwd=tmp_path,
        env={**os.environ, "STATE_DIR": str(tmp_path), "HEALTH_PORT": str(free_port())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(READY_S):
        _, told = await process.communicate()

    assert process.returncode == 2
    assert "durable-agents up" in told.decode()
    assert "Traceback" not in told.decode()
