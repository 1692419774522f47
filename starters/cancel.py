"""Cancel runs: each stops at its current step, and compensates where it has to."""

from functools import partial

from temporalio.client import Client

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
    check_meant,
    choose,
    confirm,
    tell,
)
from starters.inspect import find_open_run
from starters.options import AsJson, MaybeRunId
from starters.terminal import main_of, print_json, run, say


def cancel(
    workflow_id: MaybeRunId = "",
    pattern: Pattern = "",
    user: OfUser = "",
    phase: Phase = "",
    status: Status = "",
    query: Query = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a run: it stops at its current step, and compensates where it has to."""
    which = Filter(workflow_id, pattern, user, phase, status, query)

    async def work(settings: Settings) -> None:
        client = await connect(settings)
        runs = await choose(client, which, usual="running")
        if not confirm(runs, "cancel", dry_run=dry_run, yes=yes, as_json=as_json):
            return
        if which.is_of_many:
            tell(await act_on_all(runs, partial(cancel_one, client)), as_json=as_json)
            return
        done = await cancel_one(client, runs[0])
        if as_json:
            print_json({"id": done.run.workflow_id, "run": done.run.run_id, **done.facts})
        else:
            say(f"Asked {workflow_id} to stop.")

    run(work, as_json=as_json)


async def cancel_one(client: Client, chosen: Chosen) -> Outcome:
    """Ask a run to stop.

    Raises:
        NotFoundError: It has ended already.
        InputError: Another run has taken its place.
    """
    seen = await find_open_run(client, chosen.workflow_id, "cancel")
    await check_meant(client, chosen, seen)
    first = seen.raw_info.first_run_id
    await client.get_workflow_handle(seen.id, first_execution_run_id=first).cancel()
    return Outcome(chosen, done="asked to stop", facts={"status": "cancelling"})


if __name__ == "__main__":
    main_of(cancel)
