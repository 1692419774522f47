"""The command line `durable-agents`: the starters, and what runs and watches them."""

import ast
import gc
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import typer

from starters.terminal import run_to_end

PARTS, FLOWS, KNOWLEDGE, RUNS, PEOPLE = "Parts", "Flows", "Knowledge", "Runs", "People"
COMMANDS = {
    "demo": ("starters.demo", "demo", PARTS),
    "up": ("starters.up", "up", PARTS),
    "worker": ("starters.worker", "worker", PARTS),
    "doctor": ("starters.doctor", "doctor", PARTS),
    "inbox": ("starters.inbox", "inbox", PARTS),
    "versions": ("starters.versions", "app", PARTS),
    "db": ("starters.database", "app", PARTS),
    "keys": ("starters.keys", "app", PARTS),
    "react": ("starters.react", "react", FLOWS),
    "weather-advice": ("starters.weather_advice", "weather_advice", FLOWS),
    "tracked": ("starters.tracked", "tracked", FLOWS),
    "process-task": ("starters.process_task", "process_task", FLOWS),
    "external-call": ("starters.external_call", "external_call", FLOWS),
    "order": ("starters.order", "order", FLOWS),
    "debug": ("starters.debug", "debug", FLOWS),
    "support": ("starters.support", "support", FLOWS),
    "route": ("starters.route", "route", FLOWS),
    "review": ("starters.review", "review", FLOWS),
    "resilient-task": ("starters.resilient_task", "resilient_task", FLOWS),
    "reviews": ("starters.reviews", "reviews", RUNS),
    "decide": ("starters.decide", "decide", RUNS),
    "compensate": ("starters.compensate", "compensate", RUNS),
    "analyze-document": ("starters.analyze_document", "analyze_document", FLOWS),
    "process-documents": ("starters.process_documents", "process_documents", FLOWS),
    "research": ("starters.research", "research", FLOWS),
    "batch": ("starters.batch", "batch", RUNS),
    "ingest": ("starters.ingest", "ingest", KNOWLEDGE),
    "search": ("starters.search", "search", KNOWLEDGE),
    "status": ("starters.inspect", "status", RUNS),
    "list": ("starters.inspect", "list_runs", RUNS),
    "cancel": ("starters.cancel", "cancel", RUNS),
    "terminate": ("starters.terminate", "terminate", RUNS),
    "restart": ("starters.restart", "restart", RUNS),
    "purge": ("starters.purge", "purge", RUNS),
    "history": ("starters.history", "app", RUNS),
    "pool": ("starters.work_pool", "app", RUNS),
    "users": ("starters.users", "app", PEOPLE),
}
"""Each command's module, what it is there, and where `--help` shows it."""


def command_line(loaded: Iterable[str] = COMMANDS, *, listed: Iterable[str] = ()) -> typer.Typer:
    """The command line with some of its commands.

    Args:
        loaded: Those that can be run; loading all of them takes a second.
        listed: Those that are there to be shown by `--help`.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    @app.callback()
    def durable_agents() -> None:  # pyright: ignore[reportUnusedFunction] - Typer calls it
        """Agents and business flows that survive crashes and can be watched step by step."""

    for name, (module, attribute, panel) in COMMANDS.items():
        if name in loaded:
            command = getattr(import_module(module), attribute)
        elif name in listed:
            command = _named_only(sentence_of(module, attribute))
        else:
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
    return app


def sentence_of(module: str, attribute: str) -> str:
    """What a command says of itself, read and not imported: its docstring, or its module's."""
    spec = find_spec(module)
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    tree = ast.parse(source)
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    documented = next((one for one in functions if one.name == attribute), tree)
    return ast.get_docstring(documented) or ""


def _named_only(sentence: str) -> Callable[[], None]:
    def command() -> None: ...

    command.__doc__ = sentence
    return command


def main() -> None:
    """Run the command line; what is not named is not loaded, since that takes a second."""
    first = [word for word in sys.argv[1:2] if word in COMMANDS]
    named = first or [word for word in sys.argv[1:] if word in COMMANDS]
    gc.disable()  # what is loaded stays: to look for garbage in it again and again takes a tenth
    app = command_line(named, listed=() if first else COMMANDS)
    gc.enable()
    gc.freeze()
    run_to_end(app)


if __name__ == "__main__":
    main()
