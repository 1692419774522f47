"""The command line as people use it: start, watch, list, cancel."""

import asyncio
import secrets
import signal
import sys
from typing import Any

import pytest

from tests.commanding import COMMAND, Commands, ended
from tests.steering import Simulator
from tests.workflows.runs import token

QUESTION = "What is 12.5 % of 2480, and what is the weather in Oslo?"
SLOW = {"kind": "latency", "latency_s": 30, "times": -1}

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture(autouse=True)
def _started_as_people_do(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - autouse
    """Elsewhere commands are forks of what has loaded them."""
    monkeypatch.setattr(Commands, "forks", False)


def new_id() -> str:
    return f"run-{secrets.token_hex(6)}"


async def test_the_help_lists_every_command_with_a_sentence(command: Commands) -> None:
    ended = await command("--help", COLUMNS="200")

    listed = {line.strip("│ ").split("  ")[0]: line for line in ended.out.splitlines()}
    assert ended.code == 0
    for name in (
        *("demo", "up", "worker", "doctor", "db", "react", "weather-advice", "tracked"),
        *("order", "status", "list", "cancel", "decide", "compensate"),
    ):
        assert len(listed[name].strip("│ ").split(maxsplit=1)[1]) > 15, name


async def test_the_answer_is_one_json_object_with_both_tools_and_the_usage(
    command: Commands,
) -> None:
    ended = await command("react", QUESTION, "--json", "--user", "ann")

    told = ended.json
    assert ended.code == 0
    assert "310" in told["answer"]
    assert "Oslo" in told["answer"]
    assert told["rounds"] == 2
    assert {call["tool"] for call in told["tool_calls"]} == {"calculate", "get_weather"}
    assert {"input_tokens", "output_tokens", "cost_usd", "calls"} == told["usage"].keys()
    assert told["usage"]["calls"] == 2
    assert told["status"] == "completed"
    assert told["simulator"] is True
    assert told["id"] in told["url"]
    assert ended.err == ""


async def test_without_json_the_answer_alone_is_on_standard_output(command: Commands) -> None:
    ended = await command("react", QUESTION)

    assert ended.code == 0
    assert len(ended.out.splitlines()) == 1
    assert "310" in ended.out
    assert "/namespaces/commands/workflows/react-" in ended.err.splitlines()[0]
    assert "the simulator, a stand-in" in ended.last


@pytest.mark.parametrize("given", ["-", "file"])
async def test_a_task_is_read_from_standard_input_or_a_file(command: Commands, given: str) -> None:
    task = b"What is 6 * 7?\n"
    path = command.folder / "task.txt"
    path.write_bytes(task)
    source = ["-"] if given == "-" else ["--file", str(path)]

    ended = await command("react", *source, "--json", stdin=task)

    assert ended.code == 0
    assert "42" in ended.json["answer"]


async def test_a_starter_runs_as_a_script_of_its_own(command: Commands) -> None:
    ended = await command.program(sys.executable, "-m", "starters.weather_advice", "Paris")

    assert ended.code == 0
    assert "wear" in ended.out
    assert ended.last.startswith("Paris: ")
    assert ended.last.endswith("(simulated)")


async def test_a_tracked_task_tells_its_result(command: Commands) -> None:
    ended = await command("tracked", "task-1", "--json")

    assert ended.code == 0
    assert ended.json["task_id"] == "task-1"
    assert ended.json["result"]
    assert ended.json["simulator"] is True


async def test_a_run_is_started_watched_listed_and_cancelled(
    command: Commands, simulator: Simulator
) -> None:
    word, chosen = token(), new_id()

    async with simulator.faults(word, SLOW):
        started = await command("react", word, "--no-wait", "--json", "--id", chosen)
        await until_thinking(command, chosen)
        seen = await command("status", chosen)
        listed = await command("list", "--query", f"WorkflowId = '{chosen}'", "--json")
        again = await command("react", word, "--id", chosen)
        cancelled = await command("cancel", chosen)
        state = await until_status(command, chosen, "cancelled")
        twice = await command("cancel", chosen)

    assert (started.code, started.json["id"], started.json["status"]) == (0, chosen, "running")
    assert "think 1" in seen.out
    assert [(row["id"], row["status"]) for row in listed.json] == [(chosen, "running")]
    assert again.code == 2
    assert again.sentence.startswith(f"A run with the id {chosen} is at work already.")
    assert (cancelled.code, cancelled.out) == (0, f"Asked {chosen} to stop.\n")
    assert state["error"]
    assert twice.code == 2
    assert twice.sentence == (
        f"Run {chosen} has ended already (cancelled); there is nothing to cancel."
    )


async def test_ctrl_c_leaves_the_run_going_and_says_how_to_see_and_end_it(
    command: Commands, simulator: Simulator
) -> None:
    word, chosen = token(), new_id()

    async with simulator.faults(word, SLOW):
        waiting = await command.start([COMMAND, "react", word, "--id", chosen])
        await until_thinking(command, chosen)
        waiting.send_signal(signal.SIGINT)
        left = await ended(waiting)
        state = await state_of(command, chosen)
        await command("cancel", chosen)

    assert left.code == 130
    assert left.out == ""
    assert left.last == (
        f"Run {chosen} goes on without you: `durable-agents status {chosen}` shows it, "
        f"`durable-agents cancel {chosen}` ends it."
    )
    assert state["status"] == "running"


async def test_whoever_waits_learns_that_somebody_cancelled_the_run(
    command: Commands, simulator: Simulator
) -> None:
    word, chosen = token(), new_id()

    async with simulator.faults(word, SLOW):
        waiting = await command.start([COMMAND, "react", word, "--id", chosen, "--json"])
        await until_thinking(command, chosen)
        await command("cancel", chosen, "--json")
        told = await ended(waiting)

    assert told.code == 1
    assert told.json["status"] == "cancelled"
    assert told.sentence.startswith(f"Run {chosen} was cancelled: somebody cancelled it.")


async def test_the_status_tells_of_a_step_that_is_being_tried_again(
    command: Commands, simulator: Simulator
) -> None:
    word, chosen = token(), new_id()
    fault = {"kind": "status", "status": 503, "times": -1}

    async with simulator.faults(word, fault):
        await command("react", word, "--no-wait", "--id", chosen)
        async with asyncio.timeout(20):
            state = await state_of(command, chosen)
            while not state["trouble"]:
                state = await state_of(command, chosen)
        await command("cancel", chosen)

    assert state["status"] == "running"
    assert state["trouble"].startswith("(think-1: attempt ")
    assert "503" in state["trouble"]


async def test_a_row_of_the_list_names_its_run_in_full(command: Commands) -> None:
    chosen = f"{'long-' * 30}{new_id()}"
    await command("weather-advice", "Paris", "--id", chosen)

    listed = await command("list", "--query", f"WorkflowId = '{chosen}'", COLUMNS="300")

    assert chosen in listed.out
    assert "completed" in listed.out


@pytest.mark.parametrize("args", [("status",), ("cancel",), ("status", "--json")])
async def test_a_run_that_is_not_there_is_one_sentence(
    command: Commands, args: tuple[str, ...]
) -> None:
    ended = await command(args[0], "no-such-run", *args[1:])

    said = "There is no run no-such-run. `durable-agents list` shows those there are."
    assert (ended.code, ended.sentence) == (2, said)
    assert "--json" not in args or ended.json["error"]["type"] == "NotFoundError"


async def test_a_query_that_the_server_cannot_read_is_one_sentence(command: Commands) -> None:
    ended = await command("list", "--query", "this is no query", "--json")

    assert ended.code == 2
    assert ended.sentence.startswith("The Temporal server refuses: ")
    assert ended.json["error"]["type"] == "TemporalError"


async def state_of(command: Commands, run: str) -> dict[str, Any]:
    told = await command("status", run, "--json")
    return dict(told.json)


async def until_thinking(command: Commands, run: str) -> None:
    async with asyncio.timeout(20):
        while "think" not in ((await state_of(command, run)).get("step") or ""):
            pass


async def until_status(command: Commands, run: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (state := await state_of(command, run))["status"] != status:
            pass
    return state
