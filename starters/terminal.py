"""What all commands share: how they speak, and the exit codes they end with.

Results go to standard output, everything else to standard error, so that `--json` can be piped.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from temporalio.service import RPCError

from durable_agents.models.errors import DurableAgentsError
from durable_agents.runtime import logs
from durable_agents.runtime.settings import Settings

EXIT_RUN_FAILED = 1
EXIT_CANNOT_START = 2  # wrong arguments or settings, a part that is not there
EXIT_NO_ANSWER = 3  # the run ended in order, but out of rounds or budget
EXIT_STILL_OPEN = 4  # the run is started and goes on, but nobody works on it
EXIT_INTERRUPTED = 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(sentence: str, code: int) -> NoReturn:
    """Say in one sentence what failed, and end."""
    err.print(f"[red]{_escaped(sentence)}[/red]")
    raise typer.Exit(code)


def run(work: Callable[[Settings], Coroutine[Any, Any, None]], *, own_parts: bool = False) -> None:
    """Run a command on the settings of this process; its failures become sentences.

    Args:
        work: The command.
        own_parts: Whether it starts parts itself, so that `run.json` is not for it.
    """
    try:
        settings = Settings.load(use_run_file=not own_parts)
        logs.configure(level=settings.log_level, form=settings.log_format)
        asyncio.run(work(settings))
    except ValidationError as error:
        fail(said_of(error), EXIT_CANNOT_START)
    except DurableAgentsError as error:
        fail(error.message, EXIT_CANNOT_START)
    except RPCError as error:
        fail(f"The Temporal server refuses: {error.message}.", EXIT_CANNOT_START)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def said_of(error: ValidationError) -> str:
    """What does not fit, in one sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the input"
    reason = str(first["msg"])
    if first["type"] in {"string_too_short", "string_pattern_mismatch"}:
        reason = "it is empty"
    elif first["type"] == "string_too_long":
        most = first.get("ctx", {}).get("max_length")
        reason = f"it is longer than {most} characters; put long text into a document"
    return f"The input is not usable: {where}: {reason}."


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def main_of(command: Callable[..., None]) -> None:
    """Run one command as a script of its own."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    app(prog_name=f"python -m {_module_of(command)}")


def _module_of(command: Callable[..., None]) -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return str(spec.name) if spec else command.__module__
