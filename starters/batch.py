"""Run a flow for every line of a file of JSON lines, through a work pool.

python -m starters.batch route messages.jsonl --output replies.jsonl
"""

import asyncio
import re
from pathlib import Path
from typing import Annotated, get_type_hints

import typer
from pydantic import BaseModel, TypeAdapter
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import PoolName
from durable_agents.runtime.connection import connect
from durable_agents.runtime.priorities import DEFAULT
from durable_agents.runtime.settings import Settings
from starters.batch_output import check_output, write_output
from starters.batching import Batching, BatchOptions, Tally
from starters.job_lines import LineFile
from starters.job_progress import Company, Shown
from starters.main import COMMANDS, FLOWS
from starters.options import AsJson, NoWait, Parallelism, Pool, PriorityKey, Tenant
from starters.terminal import (
    EXIT_RUN_FAILED,
    EXIT_STILL_OPEN,
    fail,
    main_of,
    note,
    print_json,
    run,
    say,
)
from starters.work_pool import opened

BATCH_POOL = "batch"
USABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")

FlowName = Annotated[str, typer.Argument(metavar="FLOW", help="A flow, by its command.")]
Source = Annotated[
    Path, typer.Argument(metavar="INPUT.jsonl", help="A JSON object a line: its input.")
]
Output = Annotated[Path | None, typer.Option(help="Where to write what became of each line.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run lines once more that failed before.")
]
Name = Annotated[str, typer.Option(help="The batch's name; made of flow and file when left out.")]


def batch(
    flow: FlowName,
    source: Source,
    output: Output = None,
    name: Name = "",
    pool: Pool = BATCH_POOL,
    parallelism: Parallelism = None,
    tenant: Tenant = "",
    priority: PriorityKey = DEFAULT,
    retry_failed: RetryFailed = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Run a flow for every line of a file; started again, it goes on where it stopped."""

    async def work(settings: Settings) -> None:
        workflow, model = _flow_of(flow)
        _check(name, output, no_wait=no_wait)
        lines = LineFile(source, model)
        digest = await asyncio.to_thread(lines.digest)
        if output is not None:
            check_output(output, source)
        options = BatchOptions(
            batch=f"batch/{name or f'{flow}-{digest[:16]}'}",
            pool=TypeAdapter[str](PoolName).validate_python(pool),
            parallelism=parallelism,
            tenant=tenant,
            weight=settings.tenant_weights.get(tenant, 1),
            priority=priority,
            retry_failed=retry_failed,
        )
        client = await connect(settings)
        async with opened(settings) as database:
            batching = Batching(client, database, workflow, model, lines, options)
            await _play(client, batching, digest, no_wait=no_wait, quiet=as_json)
            if output is None:
                _tell_left(batching, options, as_json=as_json)
            else:
                await _finish(database, options, lines, output, as_json=as_json)

    run(work, as_json=as_json)


def _check(name: str, output: Path | None, *, no_wait: bool) -> None:
    """See to it that the options go together.

    Raises:
        InputError: They do not.
    """
    if name and not USABLE_NAME.fullmatch(name):
        raise InputError("A --name has letters, digits, dots, dashes; 60 of them at most.")
    if (output is None) != no_wait:
        raise InputError("Give --output OUT.jsonl, or --no-wait and --output another time.")


def _flow_of(command: str) -> tuple[str, type[BaseModel]]:
    """The workflow of a flow's command, and what it takes.

    Raises:
        InputError: There is no such flow.
    """
    flows = {name: place[0] for name, place in COMMANDS.items() if place[2] == FLOWS}
    if command not in flows:
        raise InputError(f"There is no flow {command}. There are: {', '.join(sorted(flows))}.")
    from workers.registry import WORKFLOWS  # all there are: that takes half a second

    stem = flows[command].rpartition(".")[2]
    workflow = next(one for one in WORKFLOWS if one.__module__ == f"workflows.{stem}")
    hints = get_type_hints(vars(workflow)["run"])
    return workflow.__name__, next(iter(hints.values()))


async def _play(
    client: Client, batching: Batching, digest: str, *, no_wait: bool, quiet: bool
) -> None:
    """Hand the lines over; wait for them unless told otherwise, showing how far it is."""
    company = Company(client, queues.WORKFLOWS)
    shown = Shown("lines", quiet=quiet)

    def show(tally: Tally) -> None:
        shown.show(tally.total, tally.finished, tally.rate)

    try:
        await batching.hand_over(digest)
        await batching.look()
        if batching.again and not quiet:
            note(f"{batching.again} lines that had failed are run once more.")
        if no_wait:
            return
        with shown:
            company.watch(lambda: batching.tally.finished)
            missing = await batching.wait(show, lonely=company.missing)
    except asyncio.CancelledError:
        note(
            "The lines that are in the pool go on without you; the same command again goes on.",
            "yellow",
        )
        raise
    finally:
        company.stop()
    if missing:
        fail(
            f"{batching.tally.left} lines are in the pool and safe, but {missing}. They go on by "
            "themselves when `python -m workers` (or `durable-agents up`) runs; then start this "
            "again.",
            EXIT_STILL_OPEN,
        )


def _tell_left(batching: Batching, options: BatchOptions, *, as_json: bool) -> None:
    tally = batching.tally
    if as_json:
        facts = {"batch": options.batch, "pool": options.pool, "lines": tally.total}
        print_json({**facts, "finished": tally.finished, "left": tally.left})
        return
    say(f"{tally.total} lines are in the pool {options.pool}, {tally.left} of them not finished.")
    note("The same command with --output writes what became of them when all are.")


async def _finish(
    database: Database, options: BatchOptions, lines: LineFile, output: Path, *, as_json: bool
) -> None:
    """Write the output, and tell how it went; end with 1 when a line was not done."""
    counted = await write_output(database, options, lines, output)
    if as_json:
        facts = {"batch": options.batch, "pool": options.pool, "output": str(output)}
        print_json({**facts, "lines": sum(counted.values()), "counts": counted})
    else:
        words = ", ".join(f"{count} {status}" for status, count in sorted(counted.items()))
        say(f"{sum(counted.values())} lines: {words or 'none'}. See {output}.")
    if counted.keys() - {"done"}:
        if counted.keys() & {"failed", "cancelled"} and not as_json:
            note("The same command with --retry-failed runs the lines that failed once more.")
        raise typer.Exit(EXIT_RUN_FAILED)


if __name__ == "__main__":
    main_of(batch)
