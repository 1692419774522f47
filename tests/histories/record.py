"""Records the histories that the replay tests read: `python -m tests.histories.record`.

Run it when a change of a workflow is meant to change its history. A file is written anew when
its workflow asked for something else than before: then runs of the release before need
`workflow.patched`. Ids and times alone change nothing.
"""

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from durable_agents.models import queues
from durable_agents.models.react import ReActInput
from durable_agents.models.tracked import TrackedInput
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.runtime.connection import connect
from tests.conftest import early_server, running_services, running_workers
from tests.steering import Simulator
from tests.workflows.runs import until_step

FOLDER = Path(__file__).parent

_HOST = re.compile(r"127\.0\.0\.1:\d+")
_PROCESS = re.compile(r"\d+@[\w.-]+")
_SAID_BY_MACHINES = {"identity": "worker", "binaryChecksum": "", "stackTrace": ""}

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Scene:
    """A run to record; its history goes to the file `NAME.json`.

    Attributes:
        name: The stem of the workflow's module, a dot, and what happens.
        request: The input.
        match: What the faults match.
        faults: What goes wrong at the simulator.
        meddle: What is done to the run once it is started.
        last: What the history of the chain's last run is called. Such a scene happens on a server
            that suggests to continue as new after few events.
    """

    name: str
    request: BaseModel
    match: str = ""
    faults: tuple[dict[str, Any], ...] = ()
    meddle: Callable[[Handle], Awaitable[None]] | None = field(default=None)
    last: str = ""

    @property
    def workflow(self) -> str:
        """The workflow that takes this input."""
        return f"{type(self.request).__name__.removesuffix('Input')}Workflow"


def cancel_in(step: str) -> Callable[[Handle], Awaitable[None]]:
    """Cancel a run once it is in a step."""

    async def meddle(handle: Handle) -> None:
        await until_step(handle, step)
        await handle.cancel()

    return meddle


HANG: dict[str, Any] = {"kind": "hang", "times": -1}
DOWN: dict[str, Any] = {
    "status": 503,
    "times": -1,
    "route": "weather",
    "retry_after": {"form": "ms", "value": 10},
}

SCENES = (
    Scene(
        "react.two_tools",
        ReActInput(task="What is 12.5 % of 2480, and what is the weather in Oslo?", user_id="u-1"),
    ),
    Scene("react.approval_refused", ReActInput(task="File a ticket: my monitor is broken.")),
    Scene(
        "react.unknown_tool",
        ReActInput(task="What is 6 * 7 (a)?"),
        "(a)",
        ({"kind": "unknown_tool"},),
    ),
    Scene(
        "react.tool_fails", ReActInput(task="What is the weather in Oslo?"), "name=Oslo", (DOWN,)
    ),
    Scene("react.out_of_rounds", ReActInput(task="Please simulate 5 rounds.", max_rounds=2)),
    Scene("react.out_of_budget", ReActInput(task="Please simulate 5 rounds.", max_calls=1)),
    Scene("react.unknown_agent", ReActInput(task="Anything.", agent="nobody")),
    Scene("react.deadline", ReActInput(task="Say b.", deadline_s=1), "Say b", (HANG,)),
    Scene("react.cancelled", ReActInput(task="Say c."), "Say c", (HANG,), cancel_in("think 1")),
    Scene(
        "react.cancelled_in_tool",
        ReActInput(task="What is the weather in Rome?"),
        "name=Rome",
        ({**HANG, "route": "weather"},),
        cancel_in("get_weather 1.1"),
    ),
    Scene(
        "react.continued_as_new",
        ReActInput(task="Please simulate 4 rounds.", max_rounds=9),
        last="react.resumed",
    ),
    Scene("weather_advice.advised", WeatherAdviceInput(city="Paris", user_id="u-1")),
    Scene("weather_advice.unknown_city", WeatherAdviceInput(city="Nowherexyz")),
    Scene(
        "weather_advice.deadline",
        WeatherAdviceInput(city="Vienna", deadline_s=1),
        "weather (Vienna",
        (HANG,),
    ),
    Scene(
        "weather_advice.cancelled",
        WeatherAdviceInput(city="Vienna"),
        "weather (Vienna",
        (HANG,),
        cancel_in("advise"),
    ),
    Scene("tracked.completed", TrackedInput(task_id="task-1")),
    Scene("tracked.unknown_task", TrackedInput(task_id="no-such-task")),
    Scene(
        "tracked.deadline",
        TrackedInput(task_id="task-2", deadline_s=1),
        "Summarise the customer feedback",
        (HANG,),
    ),
    Scene(
        "tracked.cancelled",
        TrackedInput(task_id="task-2"),
        "Summarise the customer feedback",
        (HANG,),
        cancel_in("step1"),
    ),
)


async def play(client: Client, scene: Scene, simulator: Simulator) -> dict[str, str]:
    """Let a scene happen; the histories as JSON, by their names."""
    async with simulator.faults(scene.match, *scene.faults):
        handle: Handle = await client.start_workflow(
            scene.workflow, scene.request, id=scene.name, task_queue=queues.WORKFLOWS
        )
        if scene.meddle is not None:
            await scene.meddle(handle)
        with suppress(WorkflowFailureError):
            await handle.result()
    found = {scene.name: handle.first_execution_run_id}
    if scene.last:
        found[scene.last] = None
    return {
        name: (await client.get_workflow_handle(scene.name, run_id=run).fetch_history()).to_json()
        for name, run in found.items()
    }


def scrubbed(history: str) -> str:
    """A history without what tells where it was recorded, in a form that git can compare."""
    return json.dumps(_without_machines(json.loads(history)), indent=1, sort_keys=True) + "\n"


def _without_machines(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_machines(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        kept = cast(dict[str, Any], value)
        return {name: _SAID_BY_MACHINES.get(name, _without_machines(kept[name])) for name in kept}
    if isinstance(value, str):
        return _PROCESS.sub("1@worker", _HOST.sub("127.0.0.1:8230", value))
    return value


async def record(folder: Path = FOLDER) -> None:
    """Record every scene."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running_services())
        simulator = Simulator(services.settings.simulator_url)
        stack.push_async_callback(simulator.close)
        early = await stack.enter_async_context(await early_server())
        client = await connect(services.settings)
        for server, is_early in ((client, False), (early.client, True)):
            async with running_workers(server, services.settings):
                for scene in SCENES:
                    if bool(scene.last) == is_early:
                        write(folder, await play(server, scene, simulator))


def write(folder: Path, histories: dict[str, str]) -> None:
    """Write the histories that differ from those there are."""
    for name, history in histories.items():
        content, file = scrubbed(history), folder / f"{name}.json"
        if file.exists() and asked_for(file.read_text(encoding="utf-8")) == asked_for(content):
            print(f"{name}: as before")
            continue
        file.write_text(content, encoding="utf-8")
        print(f"{name}: {len(content):,} bytes")


def asked_for(history: str) -> list[tuple[str, str, str]]:
    """What a workflow asked for, in order: activities by name and id, timers, markers, the end."""
    asked: list[tuple[str, str, str]] = []
    for event in json.loads(history)["events"]:
        key = next((name for name in event if name.endswith("EventAttributes")), "")
        values = event.get(key, {})
        if "workflowTaskCompletedEventId" in values:
            kind = values.get("activityType", {}).get("name", "") or values.get("markerName", "")
            asked.append((event["eventType"], kind, str(values.get("activityId", ""))))
    return asked


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    for variable in [name for name in os.environ if name.startswith(("TEMPORAL_", "OPENAI_"))]:
        del os.environ[variable]
    asyncio.run(record())
