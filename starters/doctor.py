"""Look at every part that is needed, and say what to do about what is missing."""

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.agent.model_queues import quotas_polled
from durable_agents.agent.quotas import OF_CALLS, OF_MODEL, draw_of_calls, draw_of_tokens
from durable_agents.clients.model import ModelClient
from durable_agents.clients.notifications import Notifier
from durable_agents.clients.runs import is_at_work
from durable_agents.clients.versions import look_at_queue
from durable_agents.db import migrate, notifications, refunds
from durable_agents.db.embedding_jobs import count_without
from durable_agents.db.engine import Database
from durable_agents.db.quotas import Draw, read_holds, read_levels
from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import NO_MODEL, Settings
from starters.database import database_url
from starters.search import SITE, embedder_here
from starters.temporal_server import look_at_search_attributes, look_at_server
from starters.tenant_days import limits_days, look_at_days
from starters.terminal import EXIT_CANNOT_START, one_line, out, plain, refusal_of, run

Check = Callable[[], Awaitable[str]]


def doctor(
    quick: Annotated[bool, typer.Option(help="Leave out what costs: asking the model.")] = False,
) -> None:
    """Look at every part that is needed, and say what to do about what is missing."""

    async def work(settings: Settings) -> None:
        well = await _look(
            ("Python", _python),
            ("Database", lambda: _database(settings)),
            ("Notifications", lambda: _notifications(settings)),
            *(
                (f"Quota {draw.quota}", partial(_quota, settings, draw))
                for draw in _draws(settings)
            ),
            *([("Daily limits", partial(look_at_days, settings))] if limits_days(settings) else []),
            *([] if quick else [("Model", lambda: _model(settings))]),
            *([] if quick else [("Embeddings", lambda: _embeddings(settings))]),
        )
        try:
            client = await connect(settings)
        except ConfigurationError as error:
            _ailing("Temporal", error.message)
            well = False
        else:
            well &= await _look(
                ("Temporal", lambda: look_at_server(client)),
                ("Search attributes", lambda: look_at_search_attributes(client)),
                ("Workers", lambda: _workers(client, settings)),
                ("Refunds", lambda: look_at_refunds(client, settings)),
            )
        if not well:
            raise typer.Exit(EXIT_CANNOT_START)

    run(work)


async def _look(*checks: tuple[str, Check]) -> bool:
    """Tell how each part is; whether all are well."""
    well = True
    for name, check in checks:
        try:
            told = await check()
        except DurableAgentsError as error:
            _ailing(name, error.message)
            well = False
        except RPCError as error:
            _ailing(name, refusal_of(error))
            well = False
        else:
            out.print(Text.assemble(("ok      ", "green"), plain(f"{name}: {told}")))
    return well


def _ailing(name: str, sentence: str) -> None:
    out.print(Text.assemble(("ailing  ", "red"), plain(f"{name}: {one_line(sentence)}")))


async def _python() -> str:
    return sys.version.split()[0]


async def _workers(client: Client, settings: Settings) -> str:
    of_quotas = (queues.llm_queue(quota) for quota in quotas_polled(settings.quotas))
    needed = (queues.WORKFLOWS, *of_quotas, queues.TOOLS, queues.POOL)
    looked = [await look_at_queue(client, name) for name in needed]
    lonely = [queue for queue in looked if not queue.is_served()]
    idle = next((queue for queue in lonely if queue.polled), None)
    if idle is not None:
        raise ConfigurationError(f"{idle.why_not()}.")
    if lonely:
        names = ", ".join(queue.name for queue in lonely)
        raise ConfigurationError(
            f"nobody works on {names}: start a worker with `python -m workers`."
        )
    current = looked[0].current
    return f"{', '.join(needed)}{f'; {current} is current' if current else ''}"


async def look_at_refunds(client: Client, settings: Settings) -> str:
    """Tell how many refunds of charges are under way.

    Raises:
        ConfigurationError: The run that was at one has ended, and nobody has taken it up so far.
    """
    database = Database(database_url(settings))
    try:
        async with database.statement() as connection:
            rows = await refunds.open_refunds(connection, client.namespace, older_than=timedelta(0))
    finally:
        await database.close()
    left = [r for r in rows if not await is_at_work(client, r.workflow_id, r.run_id)]
    if not left:
        return f"{len(rows)} under way, each in a run that works or waits for a person"
    told = "; ".join(f"{row.what()} (run {row.workflow_id or 'unknown'})" for row in left[:5])
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    raise ConfigurationError(
        f"not settled, although the run that was at it has ended: {told}{more}. A worker takes "
        "each up within half a minute: start one with `python -m workers`."
    )


async def _database(settings: Settings) -> str:
    database = Database(database_url(settings))
    try:
        version = await database.ping()
        await migrate.check(database)
    finally:
        await database.close()
    return f"PostgreSQL {version}, tables at {migrate.head_revision()}"


async def _notifications(settings: Settings) -> str:
    """Where they go, and how many may have been sent or not."""
    services = [target.service for target in _notifier(settings).targets]
    database = Database(database_url(settings))
    try:
        async with database.statement() as connection:
            counts = await notifications.count(connection)
    finally:
        await database.close()
    where = f"sent by {', '.join(services)}" if services else "kept in the outbox and the log"
    told = f"{where}; {counts.failed} failed, {counts.uncertain} uncertain"
    if not counts.uncertain:
        return told
    return (
        f"{told}: a crash or a silence came between sending and noting it. To send those again, "
        "perhaps twice, set NOTIFY_RESEND_UNCERTAIN=on and start the workers again."
    )


def _draws(settings: Settings) -> list[Draw]:
    """The buckets of the quotas that are set."""
    calls = [draw_of_calls(name, rate, 1) for name, rate in settings.quotas.items()]
    tokens = settings.model_tokens_per_minute
    return [*calls, *(draw_of_tokens(model, rate, 1) for model, rate in tokens.items())]


async def _quota(settings: Settings, draw: Draw) -> str:
    """Its limit, what is left of it now, and which provider asks everyone to wait."""
    database = Database(database_url(settings))
    try:
        async with database.statement() as connection:
            level = (await read_levels(connection, [draw])).get(draw.quota, draw.size)
            holds = await read_holds(connection)
    finally:
        await database.close()
    of_calls = draw.quota.startswith(OF_CALLS)
    limit = f"{draw.rate:g} calls a second" if of_calls else f"{draw.rate * 60:g} tokens a minute"
    told = [f"{limit}, {level:.1f} of {draw.size:g} at once left"]
    if level < 0:
        told = [f"{limit}, used up for {-level / draw.rate:.0f} s"]
    for held, seconds in holds.items():
        if of_calls or held == draw.quota:
            told.append(
                f"the provider of {held.removeprefix(OF_MODEL)} asks to wait {seconds:.0f} s"
            )
    return "; ".join(told)


def _notifier(settings: Settings) -> Notifier:
    return Notifier(settings.notify_urls.get_secret_value())


async def _model(settings: Settings) -> str:
    if not settings.names_model:
        raise ConfigurationError(NO_MODEL)
    model = ModelClient(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key.get_secret_value(),
        model=settings.openai_model,
    )
    try:
        await model.list_models()
        chosen = await model.default_model()
    finally:
        await model.close()
    stand_in = " (the simulator, a stand-in)" if settings.uses_simulator else ""
    return f"{chosen} at {model.address}{stand_in}"


async def _embeddings(settings: Settings) -> str:
    """The embedding model, how long its vectors are, and how many passages have none of it."""
    database = Database(database_url(settings), pool_size=2)
    try:
        async with embedder_here(settings, database) as embedder:
            if embedder is None:
                return "no model is named (OPENAI_EMBEDDING_MODEL): search looks for words alone"
            probe = await embedder.embed(["How long is a vector?"], SITE)
        dimension = len(probe.vectors[0])
        async with database.statement() as connection:
            lacking = await count_without(connection, embedder.model, dimension)
    finally:
        await database.close()
    told = f"{embedder.model}, {dimension} dimensions"
    if not lacking:
        return told
    return f"{told}; {lacking:,} passages have no such vector: `durable-agents ingest --reembed`"
