"""Makes the command of a flow: its own options, and after them those that every flow takes."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import typer
from pydantic import BaseModel

from durable_agents.runtime.priorities import DEFAULT
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, Prepare, StartOptions, start_and_report
from starters.terminal import EXIT_NO_ANSWER, run

Own = ParamSpec("Own")
Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True)
class Given:
    """What every flow is given: the settings of the process, and the options declared here."""

    settings: Settings
    deadline: Deadline
    user: User = ""
    tenant: Tenant = ""
    priority: PriorityKey = DEFAULT
    workflow_id: Id = ""
    no_wait: NoWait = False
    as_json: AsJson = False


@dataclass(frozen=True)
class Start(Generic[Result]):
    """A run to start, and how its result reads.

    Attributes:
        request: The input of the workflow.
        summary: One line about the run.
        result_type: What the workflow returns.
        show: Prints the result; not called with `--json`.
        finish: Called last, with `--json` too; may end the command with an exit code.
        workflow_id: The run's id when `--id` names none; empty has one made up.
        undoes: Whether a run that fails undoes what it did, and can tell of it.
        asks: Whether the run may wait for people's decisions.
        prepare: Makes ready what the run will look for, before it is started.
    """

    request: BaseModel
    summary: str
    result_type: type[Result]
    show: Callable[[Result], Awaitable[None] | None]
    finish: Callable[[Result], None] | None = None
    workflow_id: str = ""
    undoes: bool = False
    asks: bool = False
    prepare: Prepare | None = None


Starter = Callable[Concatenate[Given, Own], Start[Any]]


def end_unless(good: bool) -> None:
    """End the command with the code of a run that ended in order, but without an answer."""
    if not good:
        raise typer.Exit(EXIT_NO_ANSWER)


def flow_command(
    workflow: str, *, deadline: float
) -> Callable[[Starter[Own]], Callable[..., None]]:
    """Make a command of a function that says what to start, given the options of the flow.

    Its first parameter is what is `Given`; the others are the flow's own options, and one named
    like an option of every flow replaces that. It is called before anything is started, and what
    it raises becomes a sentence. Its name is the pattern by which runs are found; its docstring
    is the sentence of `--help`.

    Args:
        workflow: The workflow by name.
        deadline: How long a run may take when `--deadline` is left out, in seconds.
    """

    def command_of(function: Starter[Own]) -> Callable[..., None]:
        own = _parameters(function)
        every = {name: one for name, one in _parameters(Given).items() if name not in own}
        if "deadline" in every:
            every["deadline"] = every["deadline"].replace(default=deadline)

        @functools.wraps(function)
        def command(**values: Any) -> None:
            begin = functools.partial(_play, workflow, function, values)
            run(begin, as_json=values["as_json"])

        options = [one.replace(kind=one.KEYWORD_ONLY) for one in {**own, **every}.values()]
        # Typer reads both; keywords may have one without a default behind one with it.
        vars(command)["__signature__"] = inspect.Signature(options)
        command.__annotations__ = {one.name: one.annotation for one in options}
        return command

    return command_of


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options that a function takes, by name: all but the first parameter."""
    _, *options = inspect.signature(function, eval_str=True).parameters.values()
    return {one.name: one for one in options}


def _play(
    workflow: str,
    function: Callable[..., Start[Any]],
    values: Mapping[str, Any],
    settings: Settings,
) -> Coroutine[Any, Any, None]:
    """What starts a run as the options say, and shows what comes of it.

    The function itself is called here, while no event loop runs: it may read standard input.
    """
    given = Given(settings, **{name: values[name] for name in _parameters(Given)})
    start = function(given, **{name: values[name] for name in _parameters(function)})
    pattern = function.__name__.replace("_", "-")
    flow = Flow(workflow, pattern, start.summary, given.user, given.tenant, given.priority)
    return _report(given, flow, start)


async def _report(given: Given, flow: Flow, start: Start[Any]) -> None:
    options = StartOptions(
        given.workflow_id or start.workflow_id,
        not given.no_wait,
        given.as_json,
        start.undoes,
        start.prepare,
        given.settings.inbox_url if start.asks else None,
    )
    result = await start_and_report(given.settings, flow, start.request, start.result_type, options)
    if result is None:
        return
    if not given.as_json:
        shown = start.show(result)
        if shown is not None:
            await shown
    if start.finish is not None:
        start.finish(result)
