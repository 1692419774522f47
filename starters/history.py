"""Histories of runs: written to files, and replayed against the workflows of this release."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import ParseError
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from durable_agents.models.errors import InputError
from durable_agents.runtime.connection import connect, plugin, quiet_runtime, replay_converter
from durable_agents.runtime.payload_storage import with_payloads
from durable_agents.runtime.settings import Settings
from starters.inspect import find_run
from starters.options import AsJson, RunId
from starters.terminal import (
    EXIT_RUN_FAILED,
    fail,
    note,
    one_line,
    out,
    print_json,
    run,
    run_to_end,
    say,
)
from workers.registry import WORKFLOWS

MOST_BYTES = 200 * 1024 * 1024  # a history has 50 MB at most; JSON and payloads make more of it

Run = Annotated[str, typer.Option("--run", help="Which run of the id; the newest when left out.")]

_NO_HISTORY = (
    ParseError,
    RecursionError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
"""What the SDK's reading of a history raises on what is none."""

_QUOTED = re.compile(r'message: "([^"]+)"')  # what the SDK's dump of the failure says of it

app = typer.Typer(
    help="Histories of runs: written to files, and replayed against the workflows of this release.",
    no_args_is_help=True,
)


@app.command()
def export(
    workflow_id: RunId,
    file: Annotated[
        Path | None, typer.Argument(help="Where to; standard output when left out.")
    ] = None,
    run_id: Run = "",
) -> None:
    """Write a run's history as JSON, together with the payloads that it refers to."""

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        history = await _exported(client, workflow_id, run_id)
        if file is None:
            out.file.write(f"{history}\n")
            return
        try:
            file.write_text(f"{history}\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}.") from error
        note(f"{len(json.loads(history)['events'])} events of {workflow_id} are in {file}.")

    run(work)


@app.command()
def replay(
    source: Annotated[str, typer.Argument(metavar="FILE|ID", help="A file, or a run's id.")],
    run_id: Run = "",
    as_json: AsJson = False,
) -> None:
    """Replay a history against the workflows of this release; ends with 1 when it does not fit."""

    async def work(settings: Settings) -> None:
        saved = _saved(source)
        if saved is not None:
            history, name = saved, Path(source).stem
        else:
            history, name = await _exported(await connect(settings), source, run_id), source
        told = parsed(history, name)
        failure = await _replayed(settings, history, told)
        _report(told, failure, as_json=as_json)

    run(work, as_json=as_json)


async def _exported(client: Client, workflow_id: str, run_id: str) -> str:
    """A history as JSON that carries what it refers to."""
    seen = await find_run(client, workflow_id)
    handle = client.get_workflow_handle(seen.id, run_id=run_id or seen.run_id)
    told = (await handle.fetch_history()).to_json()
    return await with_payloads(client.data_converter, told)


def _saved(source: str) -> str | None:
    """The history in a file; None when a run is named."""
    file = Path(source)
    return _read(file) if file.suffix == ".json" or file.is_file() else None


def _read(file: Path) -> str:
    """Read a saved history.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file} is larger than any history.")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8.") from error


def parsed(history: str, name: str) -> WorkflowHistory:
    """Read a history's JSON.

    Raises:
        InputError: It is none.
    """
    try:
        told = WorkflowHistory.from_json(name, history)
        started = told.events[0].workflow_execution_started_event_attributes
    except _NO_HISTORY as error:
        raise InputError(f"{name} is not a history as `history export` writes it.") from error
    if not started.workflow_type.name:
        raise InputError(f"{name} is not a whole history: it does not begin with a run's start.")
    return told


async def _replayed(settings: Settings, history: str, told: WorkflowHistory) -> str:
    """Replay; gives why this release would go another way, or nothing.

    Raises:
        InputError: It has no such workflow, or something is missing that the history refers to.
    """
    kind = _type_of(told)
    if kind not in {one.__name__ for one in WORKFLOWS}:
        raise InputError(f"{told.workflow_id} is a {kind}, and this release has no such workflow.")
    replayer = Replayer(
        workflows=WORKFLOWS,
        plugins=[plugin(replay_converter(settings, history))],
        runtime=quiet_runtime(),
    )
    result = await replayer.replay_workflow(told, raise_on_replay_failure=False)
    failure = result.replay_failure
    if failure is None:
        return ""
    quoted = _QUOTED.search(str(failure))
    reason = quoted[1] if quoted else one_line(str(failure)) or type(failure).__name__
    if not isinstance(failure, NondeterminismError):
        raise InputError(f"{told.workflow_id} cannot be replayed: {reason}")
    return reason


def _type_of(told: WorkflowHistory) -> str:
    return told.events[0].workflow_execution_started_event_attributes.workflow_type.name


def _report(told: WorkflowHistory, failure: str, *, as_json: bool) -> None:
    """Say whether a history fits; the command fails when it does not."""
    events, kind = len(told.events), _type_of(told)
    facts: dict[str, Any] = {"id": told.workflow_id, "workflow": kind, "events": events}
    if not failure:
        if as_json:
            print_json({**facts, "replays": True})
        else:
            say(f"{told.workflow_id} replays: {kind}, {events} events.")
        return
    sentence = (
        f"{told.workflow_id} does not replay, so that this release would do something else than "
        f"its history tells: {failure.rstrip('.')}. Keep the old steps behind workflow.patched, or "
        "let a worker of the release that began the run finish it."
    )
    if as_json:
        error = {"type": "NondeterminismError", "message": sentence}
        print_json({**facts, "replays": False, "error": error})
    fail(sentence, EXIT_RUN_FAILED)


if __name__ == "__main__":
    run_to_end(app, "python -m starters.history")
