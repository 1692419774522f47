"""Saved histories replay: whole, and cut at every wait, as a run that was parked there.

`python -m tests.histories.record` records them.
"""

import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.workflow import NondeterminismError

from tests.workflows.replaying import (
    FILES,
    RELEASED,
    ROOT,
    Events,
    events_in,
    histories_of,
    parked,
    replayed,
    scheduled_in,
    type_of,
)
from workers.registry import WORKFLOWS

ENDS = {"COMPLETED", "FAILED", "CANCELED"}
OF_ONE_STEP = {"ExternalCallWorkflow"}

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.__name__)


@each_workflow
async def test_a_saved_history_replays(workflow: type) -> None:
    histories = histories_of(workflow, [*FILES, *RELEASED])

    assert histories
    assert await replayed(histories, workflow, in_sandbox=True) == {}


@each_workflow
async def test_a_run_that_is_parked_at_any_wait_goes_on_after_a_restart(workflow: type) -> None:
    whole = histories_of(workflow, [*FILES, *RELEASED])
    waits = {name: list(parked(events)) for name, events in whole.items()}

    at_each = {f"{name}, {n}": at for name, many in waits.items() for n, at in enumerate(many)}

    assert all(waits.values())
    assert await replayed(at_each, workflow) == {}


@each_workflow
async def test_a_renamed_activity_is_noticed(workflow: type) -> None:
    renamed = {
        f"{name}, {place}": other
        for name, events in histories_of(workflow).items()
        for place, other in enumerate(with_one_renamed(events))
    }

    failures = await replayed(renamed, workflow)

    assert renamed
    assert set(failures) == set(renamed)
    assert {type(failure) for failure in failures.values()} == {NondeterminismError}


@each_workflow
async def test_activities_in_another_order_are_noticed(workflow: type) -> None:
    swapped = {
        f"{name}, {place}": other
        for name, events in histories_of(workflow).items()
        for place, other in enumerate(with_two_swapped(events))
    }

    failures = await replayed(swapped, workflow)

    assert swapped or workflow.__name__ in OF_ONE_STEP
    assert set(failures) == set(swapped)
    assert {type(failure) for failure in failures.values()} <= {NondeterminismError}


def with_one_renamed(events: Events) -> Iterator[Events]:
    """A history as code wrote it that called one of its activities otherwise, for each of them."""
    for place in _asking(events):
        other = HistoryEvent()
        other.CopyFrom(events[place])
        other.activity_task_scheduled_event_attributes.activity_type.name = "as_before"
        yield [*events[:place], other, *events[place + 1 :]]


def with_two_swapped(events: Events) -> Iterator[Events]:
    """A history as code wrote it that asked for two neighbours in the other order, for each two."""
    asking = _asking(events)
    for first, second in pairwise(asking):
        changed = list(events)
        for place, source in ((first, second), (second, first)):
            changed[place] = HistoryEvent()
            changed[place].CopyFrom(events[place])
            asked = events[source].activity_task_scheduled_event_attributes
            changed[place].activity_task_scheduled_event_attributes.CopyFrom(asked)
        yield changed


def _asking(events: Events) -> list[int]:
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    return [place for place, event in enumerate(events) if event.event_type == kind]


@each_workflow
def test_every_workflow_has_histories_and_a_starter(workflow: type) -> None:
    stem = workflow.__module__.rpartition(".")[2]

    files = [file for file in FILES if file.stem.partition(".")[0] == stem]

    types = {type_of(events_in(file)) for file in files}
    last = (events_in(file)[-1].event_type for file in files)
    ends = {EventType.Name(kind).rpartition("_")[2] for kind in last}
    assert types == {workflow.__name__}
    assert ends >= ENDS
    assert (ROOT / "starters" / f"{stem}.py").is_file()


def test_every_wait_of_every_workflow_is_recorded() -> None:
    recorded: dict[str, set[str]] = {}
    for file in FILES:
        events = events_in(file)
        names = {asked.activity_type.name for asked in scheduled_in(events)}
        recorded.setdefault(type_of(events), set()).update(names)

    assert recorded["ReActWorkflow"] >= {
        "create_thread",
        "think",
        "get_weather",
        "log_error",
        "request_approval",
        "file_ticket",
        "settle_request",
    }
    assert recorded["WeatherAdviceWorkflow"] == {"fetch_weather", "generate_text"}
    assert recorded["SupportWorkflow"] >= {
        "create_thread",
        "think",
        "file_ticket",
        "generate_object",
        "log_error",
        "create_ticket",
        "find_ticket",
        "save_messages",
    }
    assert recorded["RoutingWorkflow"] >= {
        "generate_object",
        "create_thread",
        "think",
        "save_messages",
        "save_interaction",
    }
    assert recorded["OrderWorkflow"] == {
        "reserve_inventory",
        "charge_payment",
        "fulfil_order",
        "refund_payment",
        "release_inventory",
        "abandon_refund",
        "log_error",
    }
    assert recorded["DocumentAnalysisWorkflow"] == {
        "get_document",
        "read_sections",
        "combine_notes",
        "save_analysis",
    }
    assert recorded["ResearchWorkflow"] >= {
        "generate_object",
        "think",
        "keep_finding",
        "join_findings",
        "compose_report",
        "review_report",
        "refine_report",
        "evaluate_report",
        "save_report",
    }
    assert recorded["ReviewWorkflow"] == {
        "validate_task",
        "write_task_draft",
        "request_approval",
        "notify",
        "mark_request",
        "settle_request",
        "save_approved",
    }
    assert recorded["ResilientTaskWorkflow"] == {
        "validate_task",
        "write_task_draft",
        "log_error",
        "save_draft",
    }
    assert recorded["PoolLaneWorkflow"] == {"noop"}
    assert recorded["DocumentBatchWorkflow"] == {
        "submit_documents",
        "read_batch_failures",
        "stop_batch",
    }
    assert recorded["TrackedWorkflow"] == {
        "save_status",
        "validate_task",
        "write_task_draft",
        "save_draft",
    }
    assert recorded["TaskWorkflow"] == {
        "validate_user_task",
        "write_task_draft",
        "save_draft",
        "notify",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_saved_history_is_small_and_tells_nothing_of_the_machine(file: Path) -> None:
    content = file.read_text(encoding="utf-8")

    assert len(content) < 100_000
    assert socket.gethostname() not in content
    assert str(ROOT) not in content
