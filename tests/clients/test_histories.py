"""The steps that a history tells of."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from durable_agents.clients.histories import Step, steps_of
from tests.histories import record

FOLDER = Path(record.__file__).parent


def steps(name: str) -> list[Step]:
    told = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return steps_of(WorkflowHistory.from_json(name, told).events)


def test_steps_have_the_names_that_workflows_gave_them() -> None:
    found = [(step.name, step.kind) for step in steps("order.fulfilled")]

    assert found == [
        ("timer-1", "timer"),
        ("reserve-inventory", "activity"),
        ("charge-payment", "activity"),
        ("fulfil-order", "activity"),
    ]


def test_steps_that_one_task_asked_for_are_asked_for_at_the_same_event() -> None:
    tools = [step for step in steps("react.two_tools") if step.name.endswith((".1", ".2"))]

    assert len(tools) == 2
    assert len({step.asked_at for step in tools}) == 1


def test_a_local_activity_is_a_step_as_well() -> None:
    kinds = {step.name: step.kind for step in steps("react.two_tools")}

    assert kinds["observe-1"] == "local activity"


def test_a_step_is_open_from_when_it_was_asked_for_until_it_ended() -> None:
    timer, reserve, charge, _ = steps("order.fulfilled")

    assert timer.is_open_at(charge.asked_at)
    assert not reserve.is_open_at(charge.asked_at)
    assert not charge.is_open_at(charge.asked_at)
    assert reserve.ended_at == reserve.began_at + 2


def test_an_activity_that_failed_has_ended() -> None:
    found = {step.name: step for step in steps("order.declined")}

    assert found["charge-payment"].ended_at > 0


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_every_activity_of_a_saved_history_is_found_once(file: Path) -> None:
    events = json.loads(file.read_text(encoding="utf-8"))["events"]
    asked = [event.get("activityTaskScheduledEventAttributes") for event in events]
    names = [given["activityId"] for given in asked if given]

    found = [step.name for step in steps(file.stem) if step.kind == "activity"]

    assert found == names
    assert len(set(found)) == len(found)
