"""What all commands share: how they speak, and the exit codes they end with.

Results go to standard output, everything else to standard error, so that `--json` can be piped.
What a model, a document or a server says is printed as it is: without markup, and without the
control characters by which it could steer the terminal or turn the text around.
"""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import DurableAgentsError
from durable_agents.runtime import logs
from durable_agents.runtime.ending import code_of, end_process
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.startup import exit_code_of
from durable_agents.runtime.tracing import STARTER, traced
from durable_agents.telemetry.redaction import SECRETS

EXIT_RUN_FAILED = 1
EXIT_CANNOT_START = 2  # wrong arguments or settings, a part that is not there
EXIT_NO_ANSWER = 3  # the run ended in order, but without an answer
EXIT_STILL_OPEN = 4  # the run is started and goes on, but nobody works on it
EXIT_INTERRUPTED = 130

SERVER_AWAY = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED})

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

# Besides control characters: those that turn the direction of the text after them, by which what
# is shown could read otherwise than it is (Unicode's bidirectional marks, embeds and isolates).
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = {
    code: None for code in (*range(0x20), *range(0x7F, 0xA0), *_BIDI) if chr(code) not in "\n\t"
}


def say(text: str) -> None:
    """Print a result to standard output."""
    out.print(plain(text))


def note(text: str, style: str = "dim") -> None:
    """Tell something beside the result, on standard error."""
    err.print(plain(text, style))


def plain(text: str, style: str = "") -> Text:
    """Text to be shown as it is."""
    return Text(text.translate(_CONTROLS), style)


def print_json(value: object) -> None:
    """Print a value as JSON to standard output."""
    out.print_json(json.dumps(value))


class Waiting:
    """Says for what a service waits at its start, once for each reason."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._said = ""

    def __call__(self, reason: str) -> None:
        """Say it, unless it was said last."""
        if reason != self._said:
            note(f"Waiting: {SECRETS.redact(one_line(reason))}")
        self._said = reason


def fail(sentence: str, code: int) -> NoReturn:
    """Say in one sentence what failed, and end."""
    note(SECRETS.redact(one_line(sentence)), "red")
    raise typer.Exit(code)


def one_line(text: str) -> str:
    """Text of several lines on a single one."""
    return " ".join(text.split())


def run(
    work: Callable[[Settings], Coroutine[Any, Any, None]],
    *,
    own_parts: bool = False,
    waits: bool = False,
    as_json: bool = False,
    role: str = STARTER,
) -> None:
    """Run a command on the settings of this process; its failures become sentences.

    Args:
        work: The command.
        own_parts: Whether it starts parts itself, so that `run.json` is not for it.
        waits: Whether it is a service that waits, as STARTUP_WAIT_S says, for what is not there.
        as_json: Whether standard output gets a failure as JSON as well.
        role: What the process is, for its traces.
    """
    _print_whatever_comes()
    code = EXIT_CANNOT_START
    settings: Settings | None = None
    try:
        settings = Settings.load(use_run_file=not own_parts)
        logs.configure(level=settings.log_level, form=settings.log_format)
        with traced(settings, role):
            asyncio.run(work(settings))
    except ValidationError as error:
        failure = "InputError", said_of(error)
    except DurableAgentsError as error:
        failure = type(error).__name__, error.message
        code = exit_code_of(error, settings.startup_wait_s if waits and settings else 0, code)
    except RPCError as error:
        failure = "TemporalError", refusal_of(error)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    else:
        return
    if as_json:
        told = SECRETS.redact(one_line(failure[1]))
        print_json({"error": {"type": failure[0], "message": told}})
    fail(failure[1], code)


def refusal_of(error: RPCError) -> str:
    """What the Temporal server says to a request, in one sentence."""
    if error.status in SERVER_AWAY:
        return "The Temporal server does not answer any more; try again when it is back."
    return f"The Temporal server refuses: {error.message.rstrip('.')}."


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
    elif first["type"] == "string_unicode":
        reason = "it is not text in UTF-8"
    return f"The input is not usable: {where}: {reason}."


def _print_whatever_comes() -> None:
    """Let characters that the terminal's encoding does not have come out escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main_of(command: Callable[..., None]) -> None:
    """Run one command as a script of its own."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_to_end(app, f"python -m {_module_of(command)}")


def run_to_end(app: typer.Typer, name: str | None = None) -> NoReturn:
    """Run a command line under a name, and end the process with its exit code."""
    try:
        app(prog_name=name)
    except SystemExit as ended:
        end_process(code_of(ended))
    end_process(0)


def _module_of(command: Callable[..., None]) -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return str(spec.name) if spec else command.__module__
