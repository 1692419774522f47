"""Start the parts that are not configured, a worker and the reviewers' page, until Ctrl-C."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx2
import typer

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.embedded.needs import needs_temporal
from durable_agents.runtime.embedded.ports import choose_port
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings
from starters.reviewers import choose_inbox_port, link_for_first_reviewer, start_inbox
from starters.terminal import EXIT_RUN_FAILED, fail, out, run
from starters.versions import NO_VERSION, make_current

WORKER_READY_S = 60
SAMPLES = Path(__file__).parent.parent / "examples"  # not part of an installed package
HAS_SAMPLES = SAMPLES.is_dir()


@dataclass(frozen=True)
class Parts:
    """What runs: settings completed with where it listens, services, words on the version."""

    settings: Settings
    services: EmbeddedServices
    version: tuple[str, ...] = ()


@asynccontextmanager
async def parts_running(
    settings: Settings, *, processes: int = 1, inbox: bool = False
) -> AsyncGenerator[Parts]:
    """Run the parts that are not configured, the migrations, the sample data, and workers.

    Args:
        settings: What is configured.
        processes: How many worker processes.
        inbox: Whether the reviewers' page is served as well.

    Raises:
        ConfigurationError: A part cannot be started; says which and what to do.
    """
    async with EmbeddedServices(settings) as services:
        url = services.settings.database_url.get_secret_value()
        await migrate.upgrade(url)
        database = Database(url)
        try:
            if HAS_SAMPLES:
                await seed(database, SAMPLES)
        finally:
            await database.close()
        port = choose_port(
            settings.health_port, variable="HEALTH_PORT", purpose="the workers' health"
        )
        health_url = f"http://{settings.health_host}:{port}"
        inbox_port = choose_inbox_port(services) if inbox else None
        await services.add_child(
            [sys.executable, "-m", "workers", "--processes", str(processes)],
            "worker",
            env={"HEALTH_PORT": str(port), "PYTHONUNBUFFERED": "1"},
        )
        await _workers_ready(services, health_url)
        services.announce(health_url=health_url)
        version = await _make_current(settings, services.settings)
        if inbox_port is not None:
            await start_inbox(services, inbox_port)
        yield Parts(services.settings, services, version)


async def _make_current(given: Settings, settings: Settings) -> tuple[str, ...]:
    """Make the version of the workers current; tells what is to be told of it.

    On a server of our own, workers without a version replace those with one. On a server of
    others that would take their work away.

    Raises:
        NotFoundError: The workers do not ask for work.
    """
    if not (settings.worker_build_id or needs_temporal(given)):
        return ()
    told = await make_current(await connect(settings), settings, settings.worker_build_id)
    return () if told == [NO_VERSION] else tuple(told)


async def _workers_ready(services: EmbeddedServices, health_url: str) -> None:
    """Wait until all worker processes poll.

    Raises:
        ConfigurationError: They end, or take too long.
    """
    failure = asyncio.ensure_future(services.wait_for_failure())
    until = time.monotonic() + WORKER_READY_S
    try:
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            while time.monotonic() < until:
                if failure.done():
                    raise ConfigurationError(failure.result().message)
                try:
                    if (await http.get(f"{health_url}/healthz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)
    finally:
        failure.cancel()
    raise ConfigurationError(
        f"The worker is not ready after {WORKER_READY_S} s. Look into var/log/worker.log."
    )


def up(
    processes: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
) -> None:
    """Start what is not configured, a worker and the reviewers' page, until Ctrl-C."""

    async def work(settings: Settings) -> None:
        began = time.perf_counter()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with parts_running(settings, processes=processes, inbox=True) as parts:
            settings = parts.services.settings
            link = await link_for_first_reviewer(settings)
            _tell(settings, time.perf_counter() - began, link, parts.version)
            told = asyncio.ensure_future(stop.wait())
            failure = asyncio.ensure_future(parts.services.wait_for_failure())
            await asyncio.wait({told, failure}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if failure.done():
                fail(failure.result().message, EXIT_RUN_FAILED)
            failure.cancel()
            out.print(f"Stopping: what runs is finished, state stays in {settings.state_dir}/.")

    run(work, own_parts=True)


def _tell(settings: Settings, seconds: float, link: str, version: Sequence[str]) -> None:
    """Say what runs, and what to try."""
    model = settings.openai_model or settings.openai_base_url or "OpenAI"
    if settings.uses_simulator:
        model = "simulator (a stand-in; set OPENAI_API_KEY or OPENAI_BASE_URL for a real model)"
    out.print(f"[bold green]Ready[/bold green] in {seconds:.1f} s (pid {os.getpid()})")
    out.print(f"  Web UI    {settings.temporal_ui_url or '(not known: set TEMPORAL_UI_URL)'}")
    out.print(f"  Temporal  {settings.temporal_address}")
    out.print(f"  Model     {model}")
    out.print(f"  Inbox     {settings.inbox_address}")
    out.print(f"  Health    {settings.health_url}/healthz")
    for place, line in enumerate(version):
        out.print(f"  {'' if place else 'Version':<9} {line}")
    if link:
        out.print("The first reviewer comes in by this link; it works once, within 24 hours:")
        out.print(f"  {link}")
    out.print('Try: durable-agents react "What is 12.5 % of 2480, and the weather in Oslo?"')
    out.print("Ctrl-C stops everything.")
