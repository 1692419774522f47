"""Saved histories, and what comes of replaying them by today's code."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agents.runtime.connection import plugin, replay_converter
from durable_agents.runtime.payload_storage import SAVED
from durable_agents.runtime.settings import Settings

Events = Sequence[HistoryEvent]

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "tests" / "histories"
FILES = sorted(FOLDER.glob("*.json"))
RELEASED = sorted(FOLDER.glob("released/*/*.json"))  # what releases before have left under way
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
OPENS_A_TASK = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
}


@cache
def events_in(file: Path) -> Events:
    """The events of a saved history; to be read and not to be changed."""
    return WorkflowHistory.from_json(file.stem, file.read_text(encoding="utf-8")).events


def type_of(events: Events) -> str:
    """The name of the workflow whose history it is."""
    return events[0].workflow_execution_started_event_attributes.workflow_type.name


def scheduled_in(events: Events) -> list[ActivityTaskScheduledEventAttributes]:
    """What was asked for: the activities that a history schedules."""
    return [
        event.activity_task_scheduled_event_attributes
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def histories_of(workflow: type, files: Sequence[Path] = FILES) -> dict[str, Events]:
    """The saved histories of a workflow, by their names."""
    named = {str(file.relative_to(FOLDER).with_suffix("")): events_in(file) for file in files}
    return {name: events for name, events in named.items() if type_of(events) == workflow.__name__}


def parked(events: Events) -> Iterator[Events]:
    """The history as it was at every wait: after a workflow task, before the next one."""
    ends = [place for place, event in enumerate(events) if event.event_type == COMPLETED]
    for place in ends[:-1]:
        later = range(place + 1, len(events))
        yield events[: next(one for one in later if events[one].event_type in OPENS_A_TASK)]


async def replayed(
    histories: Mapping[str, Events], workflow: type, *, in_sandbox: bool = False
) -> dict[str, BaseException]:
    """Why replaying histories of a workflow failed, by the names of those that did.

    One replayer takes them all: most of what a replay costs is what begins it. The sandbox is
    half of the rest, and finds nothing more in a history that it has seen whole.
    """
    runner = SandboxedWorkflowRunner() if in_sandbox else UnsandboxedWorkflowRunner()
    ours = plugin(replay_converter(Settings(), _carried()))
    replayer = Replayer(workflows=[workflow], plugins=[ours], workflow_runner=runner)

    async def told() -> AsyncIterator[WorkflowHistory]:
        for name, events in histories.items():
            yield WorkflowHistory(name, events)

    async with replayer.workflow_replay_iterator(told()) as results:
        seen = {one.history.workflow_id: one.replay_failure async for one in results}
    assert set(seen) == set(histories)
    return {name: failure for name, failure in seen.items() if failure is not None}


@cache
def _carried() -> str:
    """The values that saved histories carry beside them, being too large for them."""
    told = [json.loads(file.read_text(encoding="utf-8")) for file in [*FILES, *RELEASED]]
    return json.dumps({SAVED: {a: part for one in told for a, part in one.get(SAVED, {}).items()}})
