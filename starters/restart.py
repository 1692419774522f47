"""Restart a run from a step: it is reset to just before it, and goes on from there.

What happens again and what does not is told in `docs/restarting.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from durable_agents.clients.histories import Step
from durable_agents.clients.resets import ResetPlan, plan_reset, reset
from durable_agents.models.errors import DecisionRefusedError, InputError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.choosing import (
    Chosen,
    DryRun,
    Filter,
    OfUser,
    Outcome,
    Pattern,
    Phase,
    Query,
    Status,
    Yes,
    act_on_all,
    ask,
    check_meant,
    choose,
    confirm,
    tell,
)
from starters.inspect import find_run
from starters.options import AsJson, By, MaybeRunId, login
from starters.running import PHASE
from starters.step_list import list_steps
from starters.terminal import main_of, note, print_json, run, say

LANE = "PoolLaneWorkflow"
NAMES_SHOWN = 20

From = Annotated[str, typer.Option("--from", metavar="STEP", help="Just before it.")]
OfRun = Annotated[
    str, typer.Option("--run", help="The run of the chain, when several have the step.")
]
Listed = Annotated[bool, typer.Option("--list", help="List the run's steps.")]
WithoutMessages = Annotated[
    bool,
    typer.Option(
        "--without-messages", help="Do not deliver signals and updates again that came later."
    ),
]
OnCurrent = Annotated[
    bool,
    typer.Option("--on-current", help="Have a pinned run go on with the workers' current version."),
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Also a run that is undoing what it did.")]


@dataclass(frozen=True)
class Restarting:
    """From where runs are restarted, and how."""

    client: Client
    step: str
    run_id: str
    anyway: bool
    without_messages: bool
    by: str
    on_current: bool = False


def restart(
    workflow_id: MaybeRunId = "",
    step: From = "",
    run_id: OfRun = "",
    listed: Listed = False,
    without_messages: WithoutMessages = False,
    on_current: OnCurrent = False,
    anyway: Anyway = False,
    pattern: Pattern = "",
    user: OfUser = "",
    phase: Phase = "",
    status: Status = "",
    query: Query = "",
    by: By = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Restart a run from just before a step, also one that has ended; --list tells the steps."""
    which = Filter(workflow_id, pattern, user, phase, status, query)

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        if listed or (workflow_id and not step):
            await list_steps(client, workflow_id, run_id=run_id, as_json=as_json)
            return
        if not step:
            raise InputError("Say from where: --from STEP; `--list` tells a run's steps.")
        who = by or login()
        given = Restarting(client, step, run_id, anyway, without_messages, who, on_current)
        runs = await choose(client, which)
        if not which.is_of_many:
            await _restart_one(given, runs[0], dry_run=dry_run, yes=yes, as_json=as_json)
        elif confirm(runs, "restart", dry_run=dry_run, yes=yes, as_json=as_json):
            tell(
                await act_on_all(runs, lambda one: restart_one_of_many(given, one)), as_json=as_json
            )

    run(work, as_json=as_json)


async def _restart_one(
    given: Restarting, chosen: Chosen, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    plan = await plan_restart(given, chosen)
    if not as_json:
        _show(plan, dry_run=dry_run)
        if plan.current:
            note(f"Its version: {_version(given, plan)}.")
    if dry_run:
        if as_json:
            print_json({**_facts(plan), "dry_run": True})
        return
    if plan.newer:
        ask(_about_newer(plan), yes=yes)
    done = await _do(given, chosen, plan)
    if as_json:
        print_json(done.facts)
    else:
        say(f"Restarted {chosen.workflow_id} from {plan.step.name}: run {done.facts['run']}.")


async def restart_one_of_many(given: Restarting, chosen: Chosen) -> Outcome:
    """Restart one of several runs; what a person would have to agree to is refused.

    Raises:
        InputError: It cannot be restarted there, or later runs of its chain would be left behind.
    """
    plan = await plan_restart(given, chosen)
    if plan.newer:
        raise InputError(f"{_about_newer(plan)} Restart it by itself.")
    return await _do(given, chosen, plan)


async def plan_restart(given: Restarting, chosen: Chosen) -> ResetPlan:
    """See what a restart of a run would do.

    Raises:
        InputError: It cannot be restarted there, or another run has taken its place.
        DecisionRefusedError: It is undoing what it did.
    """
    seen = await find_run(given.client, chosen.workflow_id)
    await check_meant(given.client, chosen, seen)
    if seen.workflow_type == LANE:
        raise InputError(
            f"Run {seen.id} is a lane of a work pool, no piece of work: what it did before, other "
            "lanes have done since. Put the job in again; the pool wakes its lanes by itself."
        )
    if not given.anyway and _is_undoing(seen):
        raise DecisionRefusedError(
            f"Run {seen.id} is undoing what it did: let it end, or decide with `durable-agents "
            f"compensate {seen.id}` what is stuck; --anyway restarts it all the same, and what is "
            "not undone then stays so until the run or a worker takes it up."
        )
    return await plan_reset(given.client, seen, given.step, run_id=given.run_id)


def _is_undoing(seen: WorkflowExecutionDescription) -> bool:
    running = seen.status == WorkflowExecutionStatus.RUNNING
    return running and seen.typed_search_attributes.get(PHASE) == "compensating"


async def _do(given: Restarting, chosen: Chosen, plan: ResetPlan) -> Outcome:
    who = f" by {given.by}" if given.by else ""
    new = await reset(
        given.client,
        plan,
        reason=f"restarted from {plan.step.name}{who}",
        without_messages=given.without_messages,
        on_current=given.on_current,
    )
    told = f"restarted from {plan.step.name}"
    if plan.current:
        told += f"; {_version(given, plan)}"
    return Outcome(chosen, done=told, facts={**_facts(plan), "run": new})


def _version(given: Restarting, plan: ResetPlan) -> str:
    """Which version of the workers a pinned run goes on with, and which it does not."""
    current = plan.current.build_id if plan.current else ""
    if given.on_current:
        return f"moves from {plan.pinned_to} to {current}, which is current"
    return f"stays pinned to {plan.pinned_to}, {current} is current; --on-current moves it there"


def _facts(plan: ResetPlan) -> dict[str, Any]:
    return {
        "id": plan.run.workflow_id,
        "from": plan.step.name,
        "of_run": plan.run.run_id,
        "again": plan.again,
        "left_behind": [step.name for step in plan.after],
        "newer_runs": list(plan.newer),
        "pinned_to": plan.pinned_to or None,
    }


def _show(plan: ResetPlan, *, dry_run: bool) -> None:
    """Say what runs again, and what is not done twice."""
    would = "would run" if dry_run else "run"
    together = [step.name for step in plan.together if step.kind != "timer"]
    if len(together) > 1:
        note(f"Asked for together, so that all of them {would} again: {', '.join(together)}.")
    else:
        note(f"Runs again: {plan.step.name}.")
    if plan.under_way:
        note(f"Under way at that point, and {would} again: {_names(plan.under_way)}.")
    followed = [step for step in plan.after if step.kind != "timer"]
    note(f"Then what follows; before it was: {_names(followed)}.")
    children = [s.name for s in (*plan.together, *plan.after) if s.kind == "child workflow"]
    if children:
        note(f"Started again from their beginning, under their ids: {', '.join(children)}.")
    note("What others would notice twice is not done twice; model calls are paid for again.")


def _names(steps: Sequence[Step]) -> str:
    names = [step.name for step in steps]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}" or "nothing"


def _about_newer(plan: ResetPlan) -> str:
    runs = len(plan.newer)
    ends = ", the newest of which is open and is terminated" if plan.is_open else ""
    return (
        f"The step {plan.step.name} is in an earlier run of the chain; "
        f"{runs} later run{'s are' if runs > 1 else ' is'} left behind{ends}. Restart there?"
    )


if __name__ == "__main__":
    main_of(restart)
