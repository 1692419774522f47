"""Acts on one run or on many: which are meant, asking before, so many at once, and the table."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.table import Table
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError

from durable_agents.clients.kept_runs import equals, list_runs
from durable_agents.models.errors import DurableAgentsError, InputError
from starters.inspect import find_run, status_name
from starters.terminal import (
    EXIT_RUN_FAILED,
    err,
    fail,
    note,
    one_line,
    out,
    plain,
    print_json,
    refusal_of,
)

AT_ONCE = 8
PHASES = ("running", "waiting_for_approval", "compensating")
STATUSES = {
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
    "timed_out": "TimedOut",
}


def said(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Refuse an option that is given and empty, as by a variable that is not set: it means all.

    Raises:
        typer.BadParameter: It is.
    """
    source = context.get_parameter_source(option.name or "")
    if not value.strip() and source is not None and source.name != "DEFAULT":
        raise typer.BadParameter("it is empty.")
    return value


Pattern = Annotated[
    str, typer.Option("--pattern", help="All runs of this pattern, as `react`.", callback=said)
]
OfUser = Annotated[str, typer.Option("--user", help="All runs for this user.", callback=said)]
Phase = Annotated[
    str,
    typer.Option("--phase", help=f"All runs in a phase: {', '.join(PHASES)}.", callback=said),
]
Status = Annotated[
    str, typer.Option("--status", help=f"One of {', '.join(STATUSES)}.", callback=said)
]
Query = Annotated[
    str, typer.Option("--query", help="A visibility query of Temporal's.", callback=said)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@dataclass(frozen=True)
class Filter:
    """Which runs are meant: one by its id, or all that fit everything that is said."""

    workflow_id: str = ""
    pattern: str = ""
    user: str = ""
    phase: str = ""
    status: str = ""
    query: str = ""

    @property
    def is_of_many(self) -> bool:
        """Whether it may mean several runs."""
        return not self.workflow_id

    def visibility(self, usual: str = "") -> str:
        """The filter as a visibility query; the user, whom not every query finds, is left out.

        Args:
            usual: The status of the runs that are meant when no other is given.

        Raises:
            InputError: It says nothing, or names what there is not.
        """
        given = any((self.pattern, self.user, self.phase, self.status, self.query))
        if self.workflow_id and given:
            raise InputError("Name one run by its id, or choose by options, not both.")
        if not self.workflow_id and not given:
            raise InputError(
                "Say which run: give its id, or choose several with --pattern, --user, --phase, "
                "--status or --query."
            )
        status = self.status or usual or ("running" if self.phase and not self.query else "")
        parts = [
            equals("Pattern", self.pattern),
            equals("Phase", _one_of(self.phase, PHASES, "phase")),
            equals("ExecutionStatus", STATUSES.get(_one_of(status, STATUSES, "status"), "")),
            f"({self.query})" if self.query else "",
        ]
        return " AND ".join(part for part in parts if part)


def _one_of(value: str, known: Sequence[str] | dict[str, str], what: str) -> str:
    if value and value not in known:
        raise InputError(f"There is no {what} {value}. There are: {', '.join(known)}.")
    return value


@dataclass(frozen=True)
class Chosen:
    """A run that is meant."""

    workflow_id: str
    run_id: str
    workflow: str
    status: str


@dataclass(frozen=True)
class Outcome:
    """What became of a run: what was done, or why it was not; `facts` are for `--json`."""

    run: Chosen
    done: str = ""
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def row(self) -> dict[str, Any]:
        """The outcome as JSON."""
        told: dict[str, Any] = {"id": self.run.workflow_id, "run": self.run.run_id, **self.facts}
        return {**told, "done": self.done or None, "error": self.error or None}


Act = Callable[[Chosen], Awaitable[Outcome]]


async def choose(client: Client, which: Filter, *, usual: str = "") -> list[Chosen]:
    """The runs that a filter means; of each id only the newest run, and only if it fits.

    What is done to a run is done to the newest of its id. One that failed and was restarted since
    has failed for good, and still is not meant.

    Raises:
        InputError: The filter says nothing, or names what there is not.
        NotFoundError: There is no run of this id.
    """
    query = which.visibility(usual)
    if which.workflow_id:
        return [_chosen(await find_run(client, which.workflow_id))]
    found: dict[str, Chosen] = {}
    async for seen in list_runs(client, query, user_id=which.user):  # the newest first
        found.setdefault(seen.id, _chosen(seen))
    turns = asyncio.Semaphore(AT_ONCE)

    async def is_newest(one: Chosen) -> bool:
        if one.status == "running":
            return True
        async with turns:
            return (await find_run(client, one.workflow_id)).run_id == one.run_id

    newest = await asyncio.gather(*map(is_newest, found.values()))
    meant = [one for one, is_meant in zip(found.values(), newest, strict=True) if is_meant]
    if len(meant) < len(found):
        note(f"Left out: {len(found) - len(meant)} whose id has a newer run, which does not fit.")
    return meant


def _chosen(seen: WorkflowExecution) -> Chosen:
    return Chosen(seen.id, seen.run_id, seen.workflow_type, status_name(seen.status))


async def check_meant(client: Client, chosen: Chosen, newest: WorkflowExecutionDescription) -> None:
    """See that the newest run of an id is the one that was chosen, or goes on from it.

    Raises:
        InputError: It is another, which nobody has looked at.
    """
    if newest.run_id == chosen.run_id:
        return
    handle = client.get_workflow_handle(chosen.workflow_id, run_id=chosen.run_id)
    before = await handle.describe()
    goes_on = before.status == WorkflowExecutionStatus.CONTINUED_AS_NEW
    if not goes_on or before.raw_info.first_run_id != newest.raw_info.first_run_id:
        raise InputError(
            f"A newer run of {chosen.workflow_id} has taken the place of the one that was chosen: "
            "choose again."
        )


def ask(question: str, *, yes: bool) -> None:
    """Have a person agree.

    Raises:
        InputError: They do not, or there is nobody to ask.
    """
    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise InputError("Nothing was done: say --yes where nobody can be asked.") from None
    if not agreed:
        raise InputError("Nothing was done.")


async def act_on_all(runs: Sequence[Chosen], act: Act, *, at_once: int = AT_ONCE) -> list[Outcome]:
    """Act on runs, some at once; what fails for one keeps none of the others from it."""
    turns = asyncio.Semaphore(at_once)

    async def one(run: Chosen) -> Outcome:
        async with turns:
            try:
                return await act(run)
            except DurableAgentsError as error:
                return Outcome(run, error=one_line(error.message))
            except RPCError as error:
                return Outcome(run, error=refusal_of(error))

    return list(await asyncio.gather(*(one(run) for run in runs)))


def confirm(runs: Sequence[Chosen], verb: str, *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Show which runs are meant, and have a person agree when they are several.

    Returns:
        Whether to act.

    Raises:
        InputError: They do not agree.
    """
    if dry_run and as_json:
        print_json({"runs": [Outcome(run).row() for run in runs], "dry_run": True})
        return False
    if dry_run or (len(runs) > 1 and not yes):
        (out if dry_run else err).print(_table(("run", "workflow", "status"), map(_cells, runs)))
    if dry_run:
        note(f"Would {verb} {_count(runs)}. Nothing was done.")
        return False
    if not runs:
        note("No runs fit; nothing was done.")
        if as_json:
            print_json({"runs": [], "failed": 0})
        return False
    if len(runs) > 1:
        ask(f"{verb.capitalize()} {_count(runs)}?", yes=yes)
    return True


def tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Show what became of each run; the command fails when one failed."""
    failed = [one for one in outcomes if one.error]
    if as_json:
        print_json({"runs": [one.row() for one in outcomes], "failed": len(failed)})
    elif outcomes:
        cells = ((one.run.workflow_id, one.error or one.done) for one in outcomes)
        out.print(_table(("run", "what became of it"), cells))
    if failed:
        fail(f"{len(failed)} of {_count(outcomes)} failed; see above.", EXIT_RUN_FAILED)


def _cells(run: Chosen) -> tuple[str, str, str]:
    return run.workflow_id, run.workflow, run.status


def _count(some: Sized) -> str:
    return f"{len(some)} run{'' if len(some) == 1 else 's'}"


def _table(columns: Sequence[str], rows: Any) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    return table
