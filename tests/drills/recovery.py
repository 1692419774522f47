"""How soon runs go on after the death of the only worker: `python -m workers`, as it is run.

Its supervisor starts the next process, which loads the code, connects and polls. What is measured
is the time from the kill to the next thing that a worker did for a run, as its history tells.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence

from temporalio.api.enums.v1 import EventType

from durable_agents.models.react import ReActInput
from durable_agents.models.route import RoutingInput
from durable_agents.models.weather_advice import WeatherAdviceInput
from starters import running
from tests.drills.flows import CITIES, workflow_of
from tests.workflows import runs
from tests.world import Handle, Supervisor, World, own_world, supervisor

KILLS = 3  # the supervisor gives up at the fifth death within a minute
RUNS = 30
LATENCY = {"kind": "latency", "latency_s": 0.4, "times": -1}
BEFORE_KILL_S = 1.0
LONGEST_S = 180
WORKED = frozenset(
    {
        # Not that one was started: the server may have handed it to the one that had died.
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
    }
)


async def measure(kills: int = KILLS, count: int = RUNS) -> list[float]:
    """Kill the only worker while many runs are at work; gives the seconds of each run."""
    seconds: list[float] = []
    async with own_world() as world, world.simulator.faults("", LATENCY), supervisor(world) as only:
        for _ in range(kills):
            seconds += await _kill_once(world, only, count)
    return seconds


async def _kill_once(world: World, only: Supervisor, count: int) -> list[float]:
    handles = [await _start(world, number) for number in range(count)]
    await asyncio.sleep(BEFORE_KILL_S)
    pid = await only.worker()
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(handle.result() for handle in handles))
    return [
        first - killed_at
        for handle in handles
        if (first := await _first_after(handle, killed_at)) is not None
    ]


async def _start(world: World, number: int) -> Handle:
    given = (
        ReActInput(task=f"What is {number} * 7, and what is the weather in Oslo?"),
        WeatherAdviceInput(city=CITIES[number % len(CITIES)]),
        RoutingInput(message="What does the Business plan cost?"),
    )
    request = given[number % len(given)]
    flow = running.Flow(workflow=workflow_of(request), pattern="drill", summary="recovery")
    return await running.start(world.client, flow, request)


async def _first_after(handle: Handle, moment: float) -> float | None:
    """When a worker did the next thing for a run; None when the run had ended."""
    times: Sequence[float] = [
        event.event_time.ToNanoseconds() / 1e9
        for event in await runs.events_of(handle)
        if event.event_type in WORKED
    ]
    return min((one for one in times if one > moment), default=None)
