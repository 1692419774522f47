"""Fetch what an address of the web answers, with a retry policy of your own."""

from typing import Annotated

import typer

from durable_agents.db.drafts import get_draft
from durable_agents.db.engine import Database
from durable_agents.models.external_call import ExternalCallInput, ExternalCallResult
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "ExternalCallWorkflow"

Attempts = Annotated[int, typer.Option("--attempts", help="Attempts at most.")]
Initial = Annotated[float, typer.Option("--initial-delay", help="Seconds before the second.")]
Most = Annotated[float, typer.Option("--maximum-delay", help="Seconds between two at most.")]
Backoff = Annotated[float, typer.Option("--backoff", help="What each delay is multiplied by.")]
Whole = Annotated[bool, typer.Option("--whole", help="Print a long body as a whole.")]


def external_call(
    url: Annotated[str, typer.Argument(help="An http:// or https:// address.")],
    attempts: Attempts = 5,
    initial_delay: Initial = 1,
    maximum_delay: Most = 30,
    backoff: Backoff = 2,
    whole: Whole = False,
    deadline: Deadline = 600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Fetch what an address of the web answers, with a retry policy of your own."""

    async def work(settings: Settings) -> None:
        request = ExternalCallInput(
            url=url,
            maximum_attempts=attempts,
            initial_delay_s=initial_delay,
            maximum_delay_s=maximum_delay,
            backoff=backoff,
            user_id=user,
            deadline_s=deadline,
        )
        flow = Flow(
            WORKFLOW, "external-call", f"fetch {url.partition('?')[0]}", user, tenant, priority
        )
        options = StartOptions(workflow_id, not no_wait, as_json)
        result = await start_and_report(settings, flow, request, ExternalCallResult, options)
        if result is not None and not as_json:
            await _show(settings, result, whole=whole)

    run(work, as_json=as_json)


async def _show(settings: Settings, result: ExternalCallResult, *, whole: bool) -> None:
    if result.draft and whole:
        database = Database(database_url(settings))
        try:
            async with database.statement() as connection:
                say((await get_draft(connection, result.draft)).content)
        finally:
            await database.close()
        return
    say(result.body)
    told = f"HTTP {result.status} from {result.url.partition('?')[0]}"
    if result.draft:
        told += (
            f"; the first {len(result.body):,} of {result.chars:,} characters, which are kept "
            f"as draft {result.draft}: --whole prints all"
        )
    note(told)


if __name__ == "__main__":
    main_of(external_call)
