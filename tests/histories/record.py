"""Records the histories that the replay tests read: `python -m tests.histories.record`.

Run it when a change of a workflow is meant to change its history. A file is written anew when
its workflow asked for something else than before: then runs of the release before need
`workflow.patched`. Ids and times alone change nothing. What is recorded stands in
`tests/histories/scenes`, a module for each flow.
"""

import asyncio
import base64
import json
import logging
import os
import re
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, cast

from temporalio.client import Client, WorkflowFailureError

from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.runtime.connection import connect
from tests.conftest import early_server, running_services, running_workers
from tests.histories.scene import SIMULATOR, Handle, Scene
from tests.histories.scenes import SCENES
from tests.steering import Simulator

FOLDER = Path(__file__).parent

_HOST = re.compile(r"127\.0\.0\.1:\d+")
_PROCESS = re.compile(r"\d+@[\w.-]+")
_SAID_BY_MACHINES = {"identity": "worker", "binaryChecksum": "", "stackTrace": ""}


async def play(
    client: Client, scene: Scene, simulator: Simulator, database: Database
) -> dict[str, str]:
    """Let a scene happen; the histories as JSON, by their names."""
    if scene.prepare is not None:
        await scene.prepare(database)
    text = scene.request.model_dump_json().replace(f"http://{SIMULATOR}", simulator.url)
    request = type(scene.request).model_validate_json(text)
    async with simulator.faults(scene.match, *scene.faults):
        handle: Handle = await client.start_workflow(
            scene.workflow, request, id=scene.name, task_queue=queues.WORKFLOWS
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
        if isinstance(kept.get("data"), str):
            kept = {**kept, "data": _without_host(kept["data"])}
        return {name: _SAID_BY_MACHINES.get(name, _without_machines(kept[name])) for name in kept}
    if isinstance(value, str):
        return _PROCESS.sub("1@worker", _HOST.sub(SIMULATOR, value))
    return value


def _without_host(data: str) -> str:
    """A payload whose addresses of the simulator are those that scenes use."""
    text = base64.b64decode(data).decode("utf-8", "surrogateescape")
    changed = _HOST.sub(SIMULATOR, text).encode("utf-8", "surrogateescape")
    return base64.b64encode(changed).decode()


async def record(folder: Path = FOLDER) -> None:
    """Record every scene."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running_services())
        simulator = Simulator(services.settings.simulator_url)
        stack.push_async_callback(simulator.close)
        early = await stack.enter_async_context(await early_server())
        database = Database(services.settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        client = await connect(services.settings)
        for server, is_early in ((client, False), (early.client, True)):
            async with running_workers(server, services.settings):
                for scene in SCENES:
                    if bool(scene.last) == is_early:
                        write(folder, await play(server, scene, simulator, database))


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
