"""What people get wrong: one clear sentence, the right exit code, a run that ends."""

import asyncio
import secrets
from typing import Any

import pytest
from temporalio.client import Client

from durable_agents.models import queues
from tests.commanding import Commands, Ended
from tests.steering import Simulator
from tests.workflows.runs import token

TOO_LONG = (
    "The input is not usable: task: it is longer than 100000 characters; "
    "put long text into a document."
)

pytestmark = pytest.mark.usefixtures("service")


async def runs_named(command: Commands, chosen: str) -> list[Any]:
    listed = await command("list", "--query", f"WorkflowId = '{chosen}'", "--json")
    return list(listed.json)


def new_id() -> str:
    return f"bad-{secrets.token_hex(6)}"


@pytest.mark.parametrize("task", ["", "   ", "\n\t"])
async def test_an_empty_task_starts_nothing(command: Commands, task: str) -> None:
    chosen = new_id()

    ended = await command("react", task, "--id", chosen)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence == "The input is not usable: task: it is empty."
    assert await runs_named(command, chosen) == []


@pytest.mark.parametrize("given", ["-", "file"])
async def test_a_task_of_5_megabytes_starts_nothing(command: Commands, given: str) -> None:
    task = "é".encode() * 2_500_000
    path = command.folder / "long.txt"
    path.write_bytes(task)
    source = ["-"] if given == "-" else ["--file", str(path)]

    ended = await command("react", *source, stdin=task)

    assert (ended.code, ended.sentence) == (2, TOO_LONG)


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        ((), b"", "Give the task as an argument, or with --file PATH, or as `-` to have it read"),
        (("hello", "--file", "x"), b"", "Give the task as an argument, or with --file PATH"),
        (("--file", "nowhere.txt"), b"", "nowhere.txt cannot be read: No such file or directory."),
        (("--file", "."), b"", ". cannot be read: Is a directory."),
        (("-",), b"\xff\xfe", "The task is not text in UTF-8."),
        (("hello", "--max-rounds", "10001"), b"", "The input is not usable: max_rounds: "),
    ],
)
async def test_arguments_that_do_not_fit_are_one_sentence(
    command: Commands, args: tuple[str, ...], stdin: bytes, said: str
) -> None:
    ended = await command("react", *args, stdin=stdin)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(said)


@pytest.mark.parametrize(
    "args", [("react", "hello"), ("weather-advice", "Paris"), ("tracked", "task-1")]
)
async def test_a_deadline_beyond_all_timers_starts_nothing(
    command: Commands, args: tuple[str, ...]
) -> None:
    ended = await command(*args, "--deadline", "inf")

    assert ended.code == 2
    assert ended.sentence.startswith("The input is not usable: deadline_s: ")


@pytest.mark.parametrize(
    "args",
    [
        ("bogus",),
        ("react", "hello", "--max-rounds", "many"),
        ("react", "hello", "--deadline", "nan"),
        ("react", "hello", "--id", "a\nb"),
        ("worker", "--role", "bogus"),
        ("worker", "--processes", "0"),
    ],
)
async def test_options_that_do_not_exist_or_do_not_fit_show_the_usage(
    command: Commands, args: tuple[str, ...]
) -> None:
    ended = await command(*args)

    assert (ended.code, ended.out) == (2, "")
    assert "usage" in ended.err.lower()
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("url", ["example.com/page", "ftp://example.com/", "file:///etc/passwd"])
async def test_an_address_that_is_not_of_the_web_starts_no_run(command: Commands, url: str) -> None:
    ended = await command("external-call", url)

    assert (ended.code, ended.out) == (2, "")
    assert "a whole one has to begin with http:// or https://" in ended.sentence


async def test_with_json_a_refusal_is_json_as_well(command: Commands) -> None:
    ended = await command("react", "", "--json")

    assert ended.code == 2
    assert ended.json == {"error": {"type": "InputError", "message": ended.sentence}}


@pytest.mark.parametrize(
    ("args", "kind", "said"),
    [
        (("react", "hi", "--agent", "nobody"), "UnknownAgentError", "no agent named 'nobody'"),
        (("react", "hi", "--thread", "999999"), "NotFoundError", "thread"),
        (("weather-advice", "Atlantisburg"), "UnknownCityError", "no city named 'Atlantisburg'"),
        (("tracked", "no-such-task"), "NotFoundError", "There is no task no-such-task."),
    ],
)
async def test_what_is_not_there_fails_the_run_with_what_and_where(
    command: Commands, args: tuple[str, ...], kind: str, said: str
) -> None:
    ended = await command(*args, "--json")

    told = ended.json
    assert ended.code == 1
    assert (told["status"], told["error"]["type"]) == ("failed", kind)
    assert said in told["error"]["message"]
    assert (
        ended.sentence == f"Run {told['id']} failed: {told['error']['message']} See {told['url']}"
    )
    assert told["run"] in told["url"]


@pytest.mark.parametrize(
    ("workflow", "given", "said"),
    [
        ("ReActWorkflow", {"tsk": "typed by hand"}, "ReActInput: task: Field required."),
        ("ReActWorkflow", {"task": " ", "max_rounds": "many"}, "ReActInput: task: "),
        ("WeatherAdviceWorkflow", "Paris", "WeatherAdviceInput: Input should be an object."),
        ("TrackedWorkflow", None, "TrackedWorkflow takes one JSON object as its input, and got"),
    ],
)
async def test_input_typed_by_hand_that_does_not_fit_fails_the_run_and_the_status_says_why(
    command: Commands, commanded: Client, workflow: str, given: Any, said: str
) -> None:
    chosen = new_id()

    await commanded.start_workflow(workflow, given, id=chosen, task_queue=queues.WORKFLOWS)
    ended = await failed(command, chosen)

    assert ended.code == 0
    assert ended.err == ""
    assert said in ended.json["error"]
    assert "\n" not in ended.json["error"]


async def failed(command: Commands, chosen: str) -> Ended:
    """The status of a run once it has failed."""
    async with asyncio.timeout(20):
        while True:
            ended = await command("status", chosen, "--json")
            if ended.json["status"] == "failed":
                return ended


async def test_a_malformed_signal_changes_nothing(
    command: Commands, commanded: Client, simulator: Simulator
) -> None:
    word, chosen = token(), new_id()

    async with simulator.faults(word, {"kind": "latency", "latency_s": 2}):
        await command("react", f"Hello {word}", "--no-wait", "--id", chosen)
        handle = commanded.get_workflow_handle(chosen)
        await handle.signal("approve", args=[{"no": "such"}, 7, None])
        result = await handle.result()

    assert result["answer"]
    assert (await command("status", chosen, "--json")).json["status"] == "completed"


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("bad_arguments", 0, ""),
        ("unknown_tool", 0, ""),
        ("nonsense", 0, ""),
        ("too_long", 0, ""),
        ("loop", 3, "The run ended without an answer after 3 rounds: give it more"),
        ("empty", 1, "failed: "),
    ],
)
async def test_a_model_that_misbehaves_ends_the_run(
    command: Commands, simulator: Simulator, kind: str, code: int, said: str
) -> None:
    word = token()
    times = -1 if kind in {"loop", "empty"} else 1
    task = f"What is 6 * 7? {word}"

    async with simulator.faults(word, {"kind": kind, "times": times}):
        ended = await command("react", task, "--max-rounds", "3", "--json")

    told = ended.json
    assert ended.code == code, ended.err
    assert said in (ended.sentence if code else ended.err)
    assert told["status"] == ("failed" if kind == "empty" else "completed")
    assert kind == "empty" or told["stopped"] == ("max_rounds" if code else "answered")
    assert told.get("simulator", True) is True


async def test_a_budget_that_is_used_up_ends_without_an_answer(command: Commands) -> None:
    ended = await command("react", "What is 6 * 7?", "--max-calls", "1", "--json")

    assert ended.code == 3
    assert ended.json["stopped"] == "budget"
    assert "budget" in ended.sentence


async def test_a_deadline_that_passes_fails_the_run(
    command: Commands, simulator: Simulator
) -> None:
    word = token()

    async with simulator.faults(word, {"kind": "latency", "latency_s": 20}):
        ended = await command("react", word, "--deadline", "0.5", "--json")

    assert ended.code == 1
    assert ended.json["error"]["type"] == "DeadlineExceededError"
    assert "deadline" in ended.sentence
