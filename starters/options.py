"""The options that every starter takes."""

from typing import Annotated

import typer

Id = Annotated[str, typer.Option("--id", help="The run's id; made up when left out.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start the run and return at once.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
User = Annotated[str, typer.Option("--user", help="For whom the run works; an opaque id.")]
Deadline = Annotated[float, typer.Option("--deadline", help="Seconds the run may take.", min=0.1)]
