"""Fetch what an address of the web answers, with a retry policy of your own."""

import functools
from typing import Annotated

import typer

from durable_agents.db.drafts import BODY, get_draft
from durable_agents.db.engine import Database
from durable_agents.models.external_call import ExternalCallInput, ExternalCallResult
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.flow_command import Given, Start, flow_command
from starters.terminal import main_of, note, say

Attempts = Annotated[int, typer.Option("--attempts", help="Attempts at most.")]
Initial = Annotated[float, typer.Option("--initial-delay", help="Seconds before the second.")]
Most = Annotated[float, typer.Option("--maximum-delay", help="Seconds between two at most.")]
Backoff = Annotated[float, typer.Option("--backoff", help="What each delay is multiplied by.")]
Whole = Annotated[bool, typer.Option("--whole", help="Print a long body as a whole.")]


@flow_command("ExternalCallWorkflow", deadline=600)
def external_call(
    given: Given,
    url: Annotated[str, typer.Argument(help="An http:// or https:// address.")],
    attempts: Attempts = 5,
    initial_delay: Initial = 1,
    maximum_delay: Most = 30,
    backoff: Backoff = 2,
    whole: Whole = False,
) -> Start[ExternalCallResult]:
    """Fetch what an address of the web answers, with a retry policy of your own."""
    request = ExternalCallInput(
        url=url,
        maximum_attempts=attempts,
        initial_delay_s=initial_delay,
        maximum_delay_s=maximum_delay,
        backoff=backoff,
        user_id=given.user,
        deadline_s=given.deadline,
    )
    show = functools.partial(_show, given.settings, whole=whole)
    return Start(request, f"fetch {url.partition('?')[0]}", ExternalCallResult, show)


async def _show(settings: Settings, result: ExternalCallResult, *, whole: bool) -> None:
    if result.draft and whole:
        database = Database(database_url(settings))
        try:
            async with database.statement() as connection:
                say((await get_draft(connection, result.draft, kind=BODY)).content)
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
