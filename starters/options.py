"""The options that every starter takes, and how a long text reaches one."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from durable_agents.models.conversation import MAX_TASK_CHARS
from durable_agents.models.errors import InputError

STDIN = "-"
MOST_BYTES = 4 * MAX_TASK_CHARS + 1  # of which one is surely too many, in any script


def _usable_id(value: str) -> str:
    """Refuse an id that cannot be written to a server or a terminal.

    Raises:
        typer.BadParameter: It is not printable, or has space at its ends.
    """
    if value and (not value.isprintable() or value != value.strip()):
        raise typer.BadParameter("an id is printable text without space at its ends.")
    return value


Id = Annotated[
    str,
    typer.Option("--id", help="The run's id; made up when left out.", callback=_usable_id),
]
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id.", callback=_usable_id)]
MaybeRunId = Annotated[
    str,
    typer.Argument(metavar="[ID]", help="The run's id; or choose several.", callback=_usable_id),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start the run and return at once.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
User = Annotated[str, typer.Option("--user", help="For whom the run works; an opaque id.")]
Tenant = Annotated[
    str, typer.Option("--tenant", help="Whose turn its steps take; the user when left out.")
]
PriorityKey = Annotated[
    int, typer.Option("--priority", help="Its steps come first (1) to last (5).", min=1, max=5)
]
Deadline = Annotated[
    float,
    typer.Option(
        "--deadline", help="Seconds the run may take; waits for people do not count.", min=0.1
    ),
]
File = Annotated[
    Path | None, typer.Option("--file", help="Read it from this file instead, as UTF-8.")
]

By = Annotated[str, typer.Option("--by", help="Who decides; your login when left out.")]


def login() -> str:
    """The name of the user of this machine; empty in a container without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


MaxRounds = Annotated[int, typer.Option(help="Rounds of think and act at most.", min=1)]
MaxTokens = Annotated[int, typer.Option(help="Budget in tokens; 0 sets none.", min=0)]
MaxCost = Annotated[float, typer.Option(help="Budget in US dollars; 0: none.", min=0)]
MaxCalls = Annotated[int, typer.Option(help="Budget in model calls; 0: none.", min=0)]
Parallelism = Annotated[
    int | None, typer.Option(help="Resize the pool: so many at once. A new one has 10.", min=1)
]
Pool = Annotated[str, typer.Option(help="The work pool that does it.")]
TaskId = Annotated[str, typer.Argument(help="A task of the table of tasks.")]


def text_of(given: str | None, file: Path | None, *, what: str) -> str:
    """The text that a person gave as an argument, in a file, or (`-`) on standard input.

    Args:
        given: The argument.
        file: The file.
        what: What the text is, for a sentence.

    Raises:
        InputError: There is none, there are two, or it cannot be read.
    """
    if (given is None) == (file is None):
        raise InputError(
            f"Give the {what} as an argument, or with --file PATH, or as `-` to have it read "
            "from standard input."
        )
    if file is not None:
        try:
            with file.open("rb") as opened:
                return _read(opened, what)
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    return _read(sys.stdin.buffer, what) if given == STDIN else str(given)


def _read(source: BinaryIO, what: str) -> str:
    """Read as much as a text may have, and a little more, so that too much is noticed."""
    raw = source.read(MOST_BYTES)
    try:
        return raw.decode(errors="ignore" if len(raw) == MOST_BYTES else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"The {what} is not text in UTF-8.") from error
