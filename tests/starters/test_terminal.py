"""How commands speak, and how they end."""

import asyncio
import json

import pytest
import typer
from pydantic import BaseModel, ValidationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import NotFoundError
from durable_agents.models.react import ReActInput
from durable_agents.runtime.settings import Settings
from starters import terminal

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]:warning: a[/red]\r\nb\tc"


def ended(error: BaseException, *, as_json: bool = False) -> int:
    """The exit code of a command whose work raises an error."""

    async def work(_: Settings) -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        terminal.run(work, as_json=as_json)
    return caught.value.exit_code


def test_what_others_say_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(HOSTILE)
    terminal.note(HOSTILE)

    shown = "]0;owned[2J[red]:warning: a[/red]\nb       c\n"
    assert capsys.readouterr() == (shown, shown)


def test_what_others_say_cannot_turn_the_text_around(capsys: pytest.CaptureFixture[str]) -> None:
    marks = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

    terminal.say(f"pay {marks}001 to שלום")

    assert capsys.readouterr().out == "pay 001 to שלום\n"


def test_json_escapes_what_could_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"answer": HOSTILE})

    printed = capsys.readouterr().out
    assert json.loads(printed) == {"answer": HOSTILE}
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotFoundError("There is no\nrun [/x]."), "There is no run [/x].\n"),
        (
            RPCError("no such thing.", RPCStatusCode.INVALID_ARGUMENT, b""),
            "The Temporal server refuses: no such thing.\n",
        ),
        (
            RPCError("tcp: long story", RPCStatusCode.UNAVAILABLE, b""),
            "The Temporal server does not answer any more; try again when it is back.\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    code = ended(error)

    assert code == terminal.EXIT_CANNOT_START
    assert capsys.readouterr() == ("", said)


def test_with_json_a_failure_is_an_object_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    ended(NotFoundError("Not there."), as_json=True)

    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": {"type": "NotFoundError", "message": "Not there."}}
    assert err == "Not there.\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_is_exit_code_130(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    assert ended(KeyboardInterrupt(), as_json=as_json) == terminal.EXIT_INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_work_that_ends_well_ends_quietly() -> None:
    terminal.run(lambda _: asyncio.sleep(0))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"task": ""}, "task: it is empty."),
        ({"task": " \n"}, "task: it is empty."),
        ({"task": "x" * 100_001}, "task: it is longer than 100000 characters; put long text"),
        ({"task": "\udcff"}, "task: it is not text in UTF-8."),
        ({"task": "x", "max_rounds": 0}, "max_rounds: Input should be greater than"),
        ({}, "task: Field required."),
    ],
)
def test_input_that_does_not_fit_is_one_sentence(given: dict[str, object], said: str) -> None:
    model: type[BaseModel] = ReActInput
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)

    sentence = terminal.said_of(caught.value)

    assert sentence.startswith(f"The input is not usable: {said}")
    assert "\n" not in sentence
