"""What recording histories writes anew, and which scenes it plays."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.histories import record
from tests.histories.record import asked_for, keep, replays, selected, write

FOLDER = Path(record.__file__).parent
PARALLEL = (FOLDER / "analyze_document.analysed.json").read_text(encoding="utf-8")
SERIAL = (FOLDER / "order.fulfilled.json").read_text(encoding="utf-8")


def swapped(history: str, first: str, second: str) -> str:
    """A history in which two activities were asked for in the other order."""
    told: dict[str, Any] = json.loads(history)
    key = "activityTaskScheduledEventAttributes"
    asked = {event[key]["activityId"]: event for event in told["events"] if key in event}
    one, other = asked[first], asked[second]
    one[key], other[key] = other[key], one[key]
    return json.dumps(told)


def ids_of(history: str) -> list[str]:
    key = "activityTaskScheduledEventAttributes"
    return [event[key]["activityId"] for event in json.loads(history)["events"] if key in event]


async def test_parallel_steps_that_came_in_another_order_write_nothing_anew(
    tmp_path: Path,
) -> None:
    file = tmp_path / "told.json"
    file.write_text(PARALLEL, encoding="utf-8")
    _, first, second, *_ = ids_of(PARALLEL)

    await write(tmp_path, {"told": swapped(PARALLEL, first, second)})

    assert file.read_text(encoding="utf-8") == PARALLEL


async def test_a_step_more_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    told = json.loads(SERIAL)
    told["events"] = told["events"][:-1]
    file.write_text(json.dumps(told), encoding="utf-8")

    await write(tmp_path, {"told": SERIAL})

    assert asked_for(file.read_text(encoding="utf-8")) == asked_for(SERIAL)


async def test_a_saved_history_that_does_not_replay_any_more_is_written_anew(
    tmp_path: Path,
) -> None:
    file, outdated = tmp_path / "told.json", swapped(SERIAL, "reserve-inventory", "charge-payment")
    file.write_text(outdated, encoding="utf-8")

    await write(tmp_path, {"told": SERIAL})

    assert (await replays(outdated), await replays(SERIAL)) == (False, True)
    assert file.read_text(encoding="utf-8") != outdated


def test_names_and_their_beginnings_select_scenes() -> None:
    names = {scene.name for scene in selected(["research.writer_fails", "order."])}

    assert "research.writer_fails" in names
    assert {name.partition(".")[0] for name in names} == {"research", "order"}
    assert len(selected([])) > len(names)


def test_a_name_that_selects_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no scene order"):
        selected(["order.fulfilled", "order.no_such"])


def test_of_a_release_the_histories_of_flows_that_follow_new_versions_are_kept(
    tmp_path: Path,
) -> None:
    (tmp_path / "order.json").write_text(SERIAL, encoding="utf-8")
    (tmp_path / "analyse.json").write_text(PARALLEL, encoding="utf-8")  # of a flow that is pinned

    following = keep("1.0.0", tmp_path)
    every = keep("1.1.0", tmp_path, every_flow=True)

    assert following == ["order"]
    assert every == ["analyse", "order"]
    assert (tmp_path / "released" / "1.0.0" / "order.json").read_text(encoding="utf-8") == SERIAL
    with pytest.raises(FileExistsError):
        keep("1.0.0", tmp_path)
