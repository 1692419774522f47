"""The steps of a run, as its history tells them: activities, child workflows and timers.

A workflow task asks for steps; those that one task asked for run side by side, and only together
can they be asked for again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

LOCAL_ACTIVITY = "core_local_activity"  # what the SDK calls the marker of one

_OF_STEPS = ("activity_task_", "child_workflow_execution_", "timer_", "start_child_")

Kind = Literal["activity", "local activity", "child workflow", "timer"]


@dataclass(frozen=True)
class Step:
    """A step of a run.

    Attributes:
        name: The activity's id, the child's workflow id, or `timer-N`.
        kind: What it is.
        asked_at: The event at which the workflow task ended that asked for it.
        began_at: Its first event.
        ended_at: Its last event; 0 as long as there is none.
        run_id: The run of a child, once it is started.
        summary: What it says of itself, as it lies in the history.
    """

    name: str
    kind: Kind
    asked_at: int
    began_at: int
    ended_at: int = 0
    run_id: str = ""
    summary: Payload | None = None

    def is_open_at(self, event: int) -> bool:
        """Whether it had been asked for, and had not ended, just before an event."""
        return self.began_at < event and not 0 < self.ended_at < event


def steps_of(events: Iterable[HistoryEvent]) -> list[Step]:
    """The steps of a run, in the order in which they were asked for."""
    found: dict[int, Step] = {}
    for event in events:
        step = _begun(event)
        if step is not None:
            found[event.event_id] = step
            continue
        began, run_id = _went_on(event)
        if began in found:
            known = found[began]
            ended = 0 if run_id else event.event_id
            found[began] = replace(known, ended_at=ended, run_id=run_id or known.run_id)
    return list(found.values())


def _begun(event: HistoryEvent) -> Step | None:
    """The step that an event begins."""
    at, summary = event.event_id, event.user_metadata.summary
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        activity = event.activity_task_scheduled_event_attributes
        asked = activity.workflow_task_completed_event_id
        return Step(activity.activity_id, "activity", asked, at, summary=summary)
    if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
        child = event.start_child_workflow_execution_initiated_event_attributes
        asked = child.workflow_task_completed_event_id
        return Step(child.workflow_id, "child workflow", asked, at, summary=summary)
    if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
        timer = event.timer_started_event_attributes
        asked = timer.workflow_task_completed_event_id
        return Step(f"timer-{timer.timer_id}", "timer", asked, at, summary=summary)
    marker = event.marker_recorded_event_attributes
    if marker.marker_name == LOCAL_ACTIVITY:
        said = json.loads(marker.details["data"].payloads[0].data)
        asked = marker.workflow_task_completed_event_id
        return Step(said["activity_id"], "local activity", asked, at, at, summary=summary)
    return None


def _went_on(event: HistoryEvent) -> tuple[int, str]:
    """The step that an event ends, or the run of the child that it starts."""
    kind = event.WhichOneof("attributes") or ""
    if not kind.startswith(_OF_STEPS):
        return 0, ""
    told = getattr(event, kind)
    if kind == "child_workflow_execution_started_event_attributes":
        return told.initiated_event_id, told.workflow_execution.run_id
    if kind in {
        "activity_task_started_event_attributes",
        "activity_task_cancel_requested_event_attributes",
    }:
        return 0, ""
    if kind.startswith("activity_task_"):
        return told.scheduled_event_id, ""
    return told.started_event_id if kind.startswith("timer_") else told.initiated_event_id, ""


@dataclass(frozen=True)
class RunSteps:
    """One run of a chain, its steps, and the run that it `continues` (empty when none)."""

    workflow_id: str
    run_id: str
    continues: str
    steps: Sequence[Step]

    def named(self, name: str) -> Step | None:
        """The step of this name."""
        return next((step for step in self.steps if step.name == name), None)


async def read_run(client: Client, workflow_id: str, run_id: str) -> RunSteps:
    """Read the steps of a run, and which run it continues (empty when none).

    Raises:
        RPCError: The server does not know the run any more, or does not answer.
    """
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    events = [event async for event in handle.fetch_history_events()]
    started = events[0].workflow_execution_started_event_attributes
    return RunSteps(workflow_id, run_id, started.continued_execution_run_id, steps_of(events))


async def said_of(client: Client, step: Step) -> str:
    """What a step says of itself, in one line; empty where it says nothing."""
    if step.summary is None or not step.summary.data:
        return ""
    (said,) = await client.data_converter.decode([step.summary], [str])
    return str(said)
