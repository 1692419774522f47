"""The command line `durable-agents`: the starters, and what runs and watches them."""

import typer

from starters import database
from starters.demo import demo
from starters.doctor import doctor
from starters.inspect import cancel, list_runs, status
from starters.react import react
from starters.tracked import tracked
from starters.up import up
from starters.weather_advice import weather_advice
from starters.worker import worker

app = typer.Typer(
    help="Agents and business flows that survive crashes and can be watched step by step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

PARTS, FLOWS, RUNS = "Parts", "Flows", "Runs"
for command in (demo, up, worker, doctor):
    app.command(rich_help_panel=PARTS)(command)
app.add_typer(database.app, name="db", rich_help_panel=PARTS)
for command in (react, weather_advice, tracked):
    app.command(rich_help_panel=FLOWS)(command)
app.command(rich_help_panel=RUNS)(status)
app.command("list", rich_help_panel=RUNS)(list_runs)
app.command(rich_help_panel=RUNS)(cancel)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
