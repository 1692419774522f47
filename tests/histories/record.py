"""Records the histories that the replay tests read: `python -m tests.histories.record`.

Run it when a change of a workflow is meant to change its history; names, or the beginnings of
names, select scenes (`python -m tests.histories.record research.writer_fails order.`). A file is
written anew when its workflow asks for something else than before, or does not replay any more:
then runs of the release before need `workflow.patched`. Ids, times, and in which order parallel
steps came along change nothing. What is recorded stands in `tests/histories/scenes`, a module for
each flow. `--release VERSION` keeps those there are as what that release leaves under way.
"""

import argparse
import asyncio
import base64
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, cast

from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.common import VersioningBehavior
from temporalio.worker import Replayer

from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.runtime.connection import connect, plugin, replay_converter
from durable_agents.runtime.payload_storage import with_payloads
from durable_agents.runtime.settings import Settings
from tests.conftest import early_server, running_services, running_workers
from tests.histories.scene import SIMULATOR, Handle, Scene
from tests.histories.scenes import SCENES
from tests.steering import Simulator
from workers.registry import WORKFLOWS

FOLDER = Path(__file__).parent
RELEASED = "released"

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
    return {name: await _saved(client, scene.name, run) for name, run in found.items()}


async def _saved(client: Client, workflow_id: str, run_id: str | None) -> str:
    """A history as JSON, with the values that are too large for it."""
    told = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    return await with_payloads(client.data_converter, told.to_json())


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


def selected(names: Sequence[str], scenes: Sequence[Scene] = SCENES) -> list[Scene]:
    """The scenes whose names begin with one of these; all where none is given.

    Raises:
        ValueError: A name selects none.
    """
    for name in names:
        if not any(_begins(scene, [name]) for scene in scenes):
            raise ValueError(f"There is no scene {name}; see tests/histories/scenes.")
    return [scene for scene in scenes if not names or _begins(scene, names)]


def _begins(scene: Scene, names: Sequence[str]) -> bool:
    return any(known.startswith(tuple(names)) for known in (scene.name, scene.last) if known)


async def record(scenes: Sequence[Scene], folder: Path = FOLDER) -> None:
    """Record scenes."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running_services())
        simulator = Simulator(services.settings.simulator_url)
        stack.push_async_callback(simulator.close)
        early = await stack.enter_async_context(await early_server())
        database = Database(services.settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        client = await connect(services.settings)
        for server, is_early in ((client, False), (early.client, True)):
            there = [scene for scene in scenes if bool(scene.last) == is_early]
            async with running_workers(server, services.settings):
                for scene in there:
                    await write(folder, await play(server, scene, simulator, database))


async def write(folder: Path, histories: dict[str, str]) -> None:
    """Write the histories that differ from those there are."""
    for name, history in histories.items():
        content, file = scrubbed(history), folder / f"{name}.json"
        if file.exists() and await _stands(file.read_text(encoding="utf-8"), content):
            print(f"{name}: as before")
            continue
        file.write_text(content, encoding="utf-8")
        print(f"{name}: {len(content):,} bytes")


async def _stands(before: str, now: str) -> bool:
    """Whether a saved history still is what its workflow does.

    Which of several parallel steps comes first is chance; that steps in a row keep their order,
    replaying the saved history tells.
    """
    return asked_for(before) == asked_for(now) and await replays(before)


def keep(version: str, folder: Path = FOLDER, *, every_flow: bool = False) -> list[str]:
    """Keep the histories as those of a release; their names.

    Of flows that are pinned runs end on the workers that they began on, so theirs are left out,
    unless every flow is asked for: where workers have no version, runs of all flows go on.

    Raises:
        FileExistsError: The release has its histories already.
    """
    follows = {workflow.__name__ for workflow in WORKFLOWS if every_flow or _follows(workflow)}
    kept = folder / RELEASED / version
    kept.mkdir(parents=True)
    names: list[str] = []
    for file in sorted(folder.glob("*.json")):
        content = file.read_text(encoding="utf-8")
        if _type_of(content) in follows:
            (kept / file.name).write_text(content, encoding="utf-8")
            names.append(file.stem)
    return names


def _follows(workflow: type) -> bool:
    """Whether runs go on with the version of the workers that is current."""
    stated = vars(workflow)["__temporal_workflow_definition"].versioning_behavior
    return stated == VersioningBehavior.AUTO_UPGRADE


def _type_of(history: str) -> str:
    first = json.loads(history)["events"][0]
    return first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]


async def replays(history: str) -> bool:
    """Whether the workflows of today would have done what a history tells."""
    ours = plugin(replay_converter(Settings(), history))
    replayer = Replayer(workflows=WORKFLOWS, plugins=[ours])
    told = WorkflowHistory.from_json("replayed", history)
    result = await replayer.replay_workflow(told, raise_on_replay_failure=False)
    return result.replay_failure is None


def asked_for(history: str) -> Counter[tuple[str, str, str]]:
    """What a workflow asked for: activities by name and id, timers, markers, the end."""
    asked = Counter[tuple[str, str, str]]()
    for event in json.loads(history)["events"]:
        key = next((name for name in event if name.endswith("EventAttributes")), "")
        values = event.get(key, {})
        if "workflowTaskCompletedEventId" in values:
            kind = values.get("activityType", {}).get("name", "") or values.get("markerName", "")
            asked[event["eventType"], kind, str(values.get("activityId", ""))] += 1
    return asked


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record")
    parser.add_argument("names", nargs="*", help="Scenes, or the beginnings of their names.")
    parser.add_argument("--release", metavar="VERSION", help="Keep what this release leaves.")
    parser.add_argument("--all", action="store_true", help="With --release: also pinned flows.")
    given = parser.parse_args()
    if given.release:
        for name in keep(given.release, every_flow=given.all):
            print(f"{name}: kept for runs of {given.release}")
        sys.exit()
    try:
        chosen = selected(given.names)
    except ValueError as error:
        parser.error(str(error))
    logging.disable(logging.WARNING)
    for variable in [name for name in os.environ if name.startswith(("TEMPORAL_", "OPENAI_"))]:
        del os.environ[variable]
    asyncio.run(record(chosen))
