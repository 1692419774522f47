"""Serve the reviewers' page: what waits for people, and their decisions."""

import asyncio
import signal
from functools import partial
from typing import Annotated, Any

import typer
from temporalio.client import Client

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.service_manager import ServiceManager
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.startup import once_there
from inbox.app import create_app
from inbox.approval_store import ApprovalStore
from inbox.serving import listen, serve
from inbox.site import site_of
from starters.database import database_url
from starters.terminal import Waiting, main_of, out, run

NO_KEY = (
    "Nothing says what signs sessions and decisions. Start the parts with `durable-agents up` in "
    "this folder, or set SIGNING_KEY to 32 random characters or more."
)
NEXT_TRY_WITHIN_S = 120  # a pause and every part that may be slow to say no, with room


def inbox(
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; INBOX_HOST when left out.")
    ] = "",
    port: Annotated[
        int | None,
        typer.Option("--port", help="INBOX_PORT when left out; 0 is any.", min=0, max=65535),
    ] = None,
) -> None:
    """Serve the reviewers' page until Ctrl-C."""

    async def work(settings: Settings) -> None:
        given: dict[str, Any] = {"inbox_host": host or settings.inbox_host}
        if port is not None:
            given["inbox_port"] = port
        await _serve(settings.model_copy(update=given))

    run(work, waits=True, role="inbox")


async def _serve(settings: Settings) -> None:
    site_of(settings, settings.inbox_host, 0)  # refuses before anything is opened
    key = settings.signing_key.get_secret_value()
    if not key:
        raise ConfigurationError(NO_KEY)
    manager = ServiceManager.from_environment()
    database = Database(database_url(settings), pool_size=settings.database_pool_size)
    try:
        client = await _once_there(settings, database, manager)
        with listen(settings.inbox_host, settings.inbox_port) as listening:
            port = listening.getsockname()[1]
            site = site_of(settings, settings.inbox_host, port)
            where = site.url if site.url.endswith(f":{port}") else f"{site.url} (port {port} here)"
            app = create_app(
                site=site,
                database=database,
                store=ApprovalStore(database, client, key),
                signing_key=key,
                run_url=partial(run_url, settings, client.namespace),
                converter=client.data_converter,
                ui_url=settings.temporal_ui_url,
            )
            await serve(
                app,
                listening,
                proxies=settings.inbox_proxies,
                on_ready=lambda: _tell(where, manager),
            )
    finally:
        await database.close()


async def _once_there(settings: Settings, database: Database, manager: ServiceManager) -> Client:
    """Reach both servers; while it waits for them, SIGTERM ends it."""
    waiting = Waiting()

    async def attempt() -> Client:
        await migrate.check(database)
        return await connect(settings, database=database)

    def say(reason: str) -> None:
        waiting(reason)
        manager.starting(f"Waiting: {reason}", within_s=NEXT_TRY_WITHIN_S)

    connecting = asyncio.ensure_future(once_there(attempt, settings.startup_wait_s, say))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, connecting.cancel)
    await asyncio.wait([connecting])
    if connecting.cancelled():
        raise typer.Exit
    return connecting.result()


def _tell(url: str, manager: ServiceManager) -> None:
    manager.ready(f"The reviewers' page is at {url}.")
    out.print(f"The reviewers' page is at {url}. Ctrl-C stops it.")


if __name__ == "__main__":
    main_of(inbox)
