"""The command line `durable-agents`: the starters, and what runs and watches them."""

import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from starters.terminal import run_to_end

PARTS, FLOWS, KNOWLEDGE, RUNS = "Parts", "Flows", "Knowledge", "Runs"
COMMANDS = {
    "demo": ("starters.demo", "demo", PARTS),
    "up": ("starters.up", "up", PARTS),
    "worker": ("starters.worker", "worker", PARTS),
    "doctor": ("starters.doctor", "doctor", PARTS),
    "db": ("starters.database", "app", PARTS),
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
    "decide": ("starters.decide", "decide", RUNS),
    "analyze-document": ("starters.analyze_document", "analyze_document", FLOWS),
    "research": ("starters.research", "research", FLOWS),
    "ingest": ("starters.ingest", "ingest", KNOWLEDGE),
    "search": ("starters.search", "search", KNOWLEDGE),
    "status": ("starters.inspect", "status", RUNS),
    "list": ("starters.inspect", "list_runs", RUNS),
    "cancel": ("starters.inspect", "cancel", RUNS),
    "pool": ("starters.work_pool", "app", RUNS),
}
"""Each command's module, what it is there, and where `--help` shows it."""


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with some of its commands; loading all of them takes a second."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    @app.callback()
    def durable_agents() -> None:  # pyright: ignore[reportUnusedFunction] - Typer calls it
        """Agents and business flows that survive crashes and can be watched step by step."""

    for name in names:
        module, attribute, panel = COMMANDS[name]
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
    return app


def main() -> None:
    """Run the command line."""
    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    run_to_end(command_line(named or COMMANDS))


if __name__ == "__main__":
    main()
