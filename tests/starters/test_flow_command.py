"""The options of a flow: those of its own, and after them those that every flow takes."""

import inspect
from importlib import import_module
from typing import Annotated

import pytest
import typer
from pydantic import BaseModel

from starters.flow_command import Given, Start, flow_command
from starters.main import COMMANDS, FLOWS

EVERY = ["deadline", "user", "tenant", "priority", "workflow_id", "no_wait", "as_json"]
PLACES = [place[:2] for place in COMMANDS.values() if place[2] == FLOWS]


class Nothing(BaseModel):
    """What nobody asks for."""


@flow_command("NothingWorkflow", deadline=5)
def nothing(
    given: Given, user: Annotated[str, typer.Option("--user", help="Whose nothing.")]
) -> Start[Nothing]:
    """Do nothing."""
    return Start(Nothing(), given.user or user, Nothing, lambda _: None)


@pytest.mark.parametrize(("module", "name"), PLACES, ids=[place[1] for place in PLACES])
def test_a_flow_takes_what_every_flow_takes(module: str, name: str) -> None:
    command = getattr(import_module(module), name)

    options = inspect.signature(command).parameters

    assert set(EVERY) <= set(options)
    assert [option for option in options if option in EVERY[2:]] == list(options)[-5:]
    assert options["deadline"].default > 0
    assert command.__name__ == name


def test_an_option_of_the_flows_own_replaces_the_one_of_every_flow() -> None:
    options = inspect.signature(nothing).parameters

    assert list(options) == ["user", *(option for option in EVERY if option != "user")]
    assert options["user"].default is inspect.Parameter.empty
    assert options["deadline"].default == 5
    assert nothing.__doc__ == "Do nothing."
