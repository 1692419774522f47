"""Saved histories replay: whole, and cut at every wait, as a run that was parked there.

`python -m tests.histories.record` records them.
"""

import ast
import copy
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from durable_agents.runtime.connection import plugin, replay_converter
from durable_agents.runtime.settings import Settings
from workers.registry import WORKFLOWS, spec_of
from workers.resources import Resources
from workers.roles import ROLES

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "tests" / "histories"
FILES = sorted(FOLDER.glob("*.json"))
RELEASED = sorted(FOLDER.glob("released/*/*.json"))  # what releases before have left under way
COMPLETED = "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"
OPENS_A_TASK = {"EVENT_TYPE_WORKFLOW_TASK_SCHEDULED", "EVENT_TYPE_WORKFLOW_TASK_STARTED"}
OPTIONS = {"start_to_close_timeout", "retry_policy", "summary"}
ENDS = {"COMPLETED", "FAILED", "CANCELED"}

Events = list[dict[str, Any]]


def events_in(file: Path) -> Events:
    return json.loads(file.read_text(encoding="utf-8"))["events"]


def parked(events: Events) -> Iterator[Events]:
    """The history as it was at every wait: after a workflow task, before the next one."""
    for place, event in enumerate(events):
        later = [e["eventType"] for e in events[place + 1 :]]
        if event["eventType"] == COMPLETED and COMPLETED in later:
            waits = next(i for i, kind in enumerate(later) if kind in OPENS_A_TASK)
            yield events[: place + 1 + waits]


def by_name(name: str) -> type:
    return next(workflow for workflow in WORKFLOWS if workflow.__name__ == name)


async def replayed(
    *histories: Events, workflow: type | None = None, file: Path | None = None
) -> list[Exception | None]:
    """What replaying histories of one workflow came to, by the class that makes them or another.

    `file` is where they are from, if it carries values that were too large for a history.
    """
    chosen = workflow or by_name(type_of(histories[0]))
    runner = SandboxedWorkflowRunner() if workflow is None else UnsandboxedWorkflowRunner()
    ours = plugin(replay_converter(Settings(), text_of(file)))
    replayer = Replayer(workflows=[chosen], plugins=[ours], workflow_runner=runner)

    async def told() -> AsyncIterator[WorkflowHistory]:
        for events in histories:
            yield WorkflowHistory.from_json("replayed", {"events": copy.deepcopy(events)})

    async with replayer.workflow_replay_iterator(told()) as results:
        return [result.replay_failure async for result in results]


def text_of(file: Path | None) -> str:
    return file.read_text(encoding="utf-8") if file is not None else "{}"


def type_of(events: Events) -> str:
    return events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]


def scheduled_in(events: Events) -> list[dict[str, Any]]:
    """What was asked for: the activities that a history schedules."""
    key = "activityTaskScheduledEventAttributes"
    return [event[key] for event in events if key in event]


@pytest.mark.parametrize("file", [*FILES, *RELEASED], ids=lambda file: file.stem)
async def test_a_saved_history_replays(file: Path) -> None:
    assert await replayed(events_in(file), file=file) == [None]


@pytest.mark.parametrize("file", [*FILES, *RELEASED], ids=lambda file: file.stem)
async def test_a_run_that_is_parked_at_any_wait_goes_on_after_a_restart(file: Path) -> None:
    waits = list(parked(events_in(file)))

    assert waits
    assert await replayed(*waits, file=file) == [None] * len(waits)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_renamed_activity_is_noticed(file: Path) -> None:
    recorded = events_in(file)
    renamed = [copy.deepcopy(recorded) for _ in scheduled_in(recorded)]
    for place, events in enumerate(renamed):
        scheduled_in(events)[place]["activityType"]["name"] = "as_it_was_called_before"

    failures = await replayed(*renamed) if renamed else []

    assert len(failures) == len(renamed)
    assert all(isinstance(failure, NondeterminismError) for failure in failures), failures


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.__name__)
def test_every_workflow_has_histories_and_a_starter(workflow: type) -> None:
    stem = workflow.__module__.rpartition(".")[2]

    files = [file for file in FILES if file.stem.partition(".")[0] == stem]

    types = {type_of(events_in(file)) for file in files}
    ends = {events_in(file)[-1]["eventType"].rpartition("_")[2] for file in files}
    assert types == {workflow.__name__}
    assert ends >= ENDS
    assert (ROOT / "starters" / f"{stem}.py").is_file()


def test_every_wait_of_every_workflow_is_recorded() -> None:
    recorded: dict[str, set[str]] = {}
    for file in FILES:
        events = events_in(file)
        names = {asked["activityType"]["name"] for asked in scheduled_in(events)}
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


def activity_calls() -> list[tuple[str, ast.Call]]:
    """Each place in workflows/ where an activity is called."""
    return [
        (f"{file.name}:{node.lineno}", node)
        for file in sorted((ROOT / "workflows").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith(("execute_", "start_"))
        and "activity" in node.func.attr
    ]


def test_every_activity_call_states_its_timeout_its_retry_policy_and_a_summary() -> None:
    calls = activity_calls()

    missing = {
        place: OPTIONS - {keyword.arg or "" for keyword in call.keywords} for place, call in calls
    }

    assert len(calls) >= 10
    assert {place: names for place, names in missing.items() if names} == {}


def test_every_call_on_the_queue_of_models_says_how_long_it_may_take_in_all() -> None:
    on_that_queue = [
        (place, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords})
        for place, call in activity_calls()
        if any(ast.unparse(keyword.value).startswith("queue_of(") for keyword in call.keywords)
    ]

    unbounded = [
        place for place, options in on_that_queue if "schedule_to_close_timeout" not in options
    ]

    assert len(on_that_queue) >= 10
    assert unbounded == []


def registered() -> dict[str, set[str]]:
    """The names of the activities that are registered, by task queue."""
    values = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "openai_base_url": "http://x"}
    resources = Resources.open(Settings.model_validate(values))
    found: dict[str, set[str]] = {}
    for role in ROLES:
        spec = spec_of(role, resources)
        names = {
            vars(getattr(f, "__func__", f))["__temporal_activity_definition"].name
            for f in spec.activities
        }
        found.setdefault(spec.queue, set()).update(names)
    return found


def test_every_activity_is_registered_by_a_role() -> None:
    defined = {
        str(keyword.value.value)
        for file in (ROOT / "activities").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "activity.defn"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }

    assert len(defined) >= 11
    assert defined - set().union(*registered().values()) == set()


def test_every_activity_is_asked_for_on_a_queue_where_it_is_registered() -> None:
    by_queue = registered()

    astray = {
        (asked["activityType"]["name"], asked["taskQueue"]["name"])
        for file in FILES
        for asked in scheduled_in(events_in(file))
        if asked["activityType"]["name"] not in by_queue[asked["taskQueue"]["name"]]
    }

    assert astray == set()
