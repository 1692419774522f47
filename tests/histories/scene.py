"""A run to record, and what can be done to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from temporalio.client import WorkflowHandle

from durable_agents.db.engine import Database
from tests.workflows.runs import until_step

SIMULATOR = "127.0.0.1:8230"
"""What the simulator's address is called in scenes and in what is recorded."""

HANG: dict[str, Any] = {"kind": "hang", "times": -1}
DOWN: dict[str, Any] = {
    "status": 503,
    "times": -1,
    "route": "weather",
    "retry_after": {"form": "ms", "value": 10},
}

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Scene:
    """A run to record; its history goes to the file `NAME.json`.

    Attributes:
        name: The stem of the workflow's module, a dot, and what happens.
        request: The input.
        match: What the faults match.
        faults: What goes wrong at the simulator.
        prepare: What is put into the database before.
        meddle: What is done to the run once it is started.
        last: What the history of the chain's last run is called. Such a scene happens on a server
            that suggests to continue as new after few events.
    """

    name: str
    request: BaseModel
    match: str = ""
    faults: tuple[dict[str, Any], ...] = ()
    meddle: Callable[[Handle], Awaitable[None]] | None = field(default=None)
    last: str = ""
    prepare: Callable[[Database], Awaitable[None]] | None = field(default=None)

    @property
    def workflow(self) -> str:
        """The workflow that takes this input."""
        return f"{type(self.request).__name__.removesuffix('Input')}Workflow"


def cancel_in(step: str) -> Callable[[Handle], Awaitable[None]]:
    """Cancel a run once it is in a step."""

    async def meddle(handle: Handle) -> None:
        await until_step(handle, step)
        await handle.cancel()

    return meddle
