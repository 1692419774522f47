"""Look at every part that is needed, and say what to do about what is missing."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from durable_agents.clients.model import ModelClient
from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.running import has_workers
from starters.terminal import EXIT_RUN_FAILED, out, run

SEARCH_ATTRIBUTES = ("Pattern", "UserId", "Phase")


def doctor(
    quick: Annotated[bool, typer.Option(help="Leave out what costs: asking the model.")] = False,
) -> None:
    """Look at every part that is needed, and say what to do about what is missing."""

    async def work(settings: Settings) -> None:
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("Python", _python),
            ("Temporal", lambda: _temporal(settings)),
            ("Search attributes", lambda: _search_attributes(settings)),
            ("Workers", lambda: _workers(settings)),
            ("Database", lambda: _database(settings)),
        ]
        if not quick:
            checks.append(("Model", lambda: _model(settings)))
        ailing = 0
        for name, check in checks:
            try:
                out.print(f"[green]ok[/green]    {name}: {await check()}")
            except DurableAgentsError as error:
                ailing += 1
                out.print(f"[red]ailing[/red]  {name}: {error.message}")
        if ailing:
            raise typer.Exit(EXIT_RUN_FAILED)

    run(work)


async def _python() -> str:
    return sys.version.split()[0]


async def _temporal(settings: Settings) -> str:
    client = await connect(settings)
    return (
        f"{client.service_client.config.target_host}, namespace {client.namespace}, "
        f"as {client.identity}"
    )


async def _search_attributes(settings: Settings) -> str:
    client = await connect(settings)
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    missing = [n for n in SEARCH_ATTRIBUTES if known.custom_attributes.get(n) != keyword]
    if missing:
        names = " ".join(f"--name {name} --type Keyword" for name in missing)
        raise ConfigurationError(
            f"{', '.join(missing)} missing: run `temporal operator search-attribute create "
            f"--namespace {client.namespace} {names}`."
        )
    return ", ".join(SEARCH_ATTRIBUTES)


async def _workers(settings: Settings) -> str:
    client = await connect(settings)
    missing = [queue for queue in _queues() if not await _polled(client, queue)]
    if missing:
        raise ConfigurationError(
            f"nobody works on {', '.join(missing)}: start a worker with `python -m workers`."
        )
    return ", ".join(_queues())


async def _polled(client: Client, queue: str) -> bool:
    return await has_workers(client, queue)


def _queues() -> tuple[str, ...]:
    return (queues.WORKFLOWS, queues.LLM, queues.TOOLS, queues.POOL)


async def _database(settings: Settings) -> str:
    database = Database(database_url(settings))
    try:
        version = await database.ping()
        await migrate.check(database)
    finally:
        await database.close()
    return f"PostgreSQL {version}, tables at {migrate.head_revision()}"


async def _model(settings: Settings) -> str:
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
