"""Run the flows on the sample data, on parts of its own if none run, and show the results."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import typer
from rich import box
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from durable_agents.agent.catalogue import get_agent
from durable_agents.db.engine import Database
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.settings import Settings
from starters.failures import failure_of
from starters.ingesting import Ingestion
from starters.progress import describe
from starters.running import start
from starters.scenes import ACCOUNT, Scene, scenes
from starters.sources import look_through
from starters.terminal import EXIT_RUN_FAILED, err, out, run
from starters.up import HAS_SAMPLES, SAMPLES, parts_running

SHOW_EVERY_S = 0.25
ANSWER_CHARS = 300
INGEST_S = 60
SAMPLE_SOURCE = "examples/documents"  # as seeding calls them


@dataclass
class Shown:
    """What is shown of a scene."""

    scene: Scene
    handle: WorkflowHandle[Any, Any]
    url: str
    line: str = "starting"
    answer: str = ""
    failed: bool = False
    seconds: float = 0.0


def demo() -> None:
    """Run the flows on the sample data, on parts of its own if none run; show the results."""
    run(_demo, own_parts=True)


async def _demo(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        began = time.perf_counter()
        running = await _running_here()
        if running is None:
            err.print("[dim]Starting what is not configured: servers and a worker …[/dim]")
            parts = await stack.enter_async_context(parts_running(settings))
            settings = parts.settings
        else:
            err.print("[dim]Using what `durable-agents up` runs here.[/dim]")
            settings = running
        ready = time.perf_counter()
        client = await connect(settings)
        may_kill = running is None
        if may_kill and settings.simulator_url:
            await _prepare(settings.simulator_url)
        err.print(await _ingest_samples(settings, client))
        shown = [
            await _start(client, settings, scene)
            for scene in scenes(may_kill=may_kill, simulator_url=settings.simulator_url)
        ]
        await _play(shown, lambda: _kill_worker(settings.health_url))
        took = time.perf_counter() - ready
        _show_results(shown)
        _tell(settings, len(shown), took, ready - began)
    if any(one.failed for one in shown):
        raise typer.Exit(EXIT_RUN_FAILED)


async def _ingest_samples(settings: Settings, client: Client) -> str:
    """Put the sample documents into the knowledge base, through the work pool."""
    url = settings.database_url.get_secret_value()
    if not HAS_SAMPLES:
        return "[dim]There are no sample documents to ingest.[/dim]"
    database = Database(url, pool_size=2)
    try:
        ingestion = Ingestion(client, database, settings.openai_embedding_model)
        async with asyncio.timeout(INGEST_S):
            await ingestion.ingest(look_through([str(SAMPLES / "documents")], SAMPLE_SOURCE))
            await ingestion.wait(lambda tally: None, lonely=lambda: "")
    finally:
        await database.close()
    tally = ingestion.tally
    for source, reason in tally.all_failures:
        err.print(f"[red]{escape(source)}: {escape(reason)}[/red]")
    return (
        f"[dim]{tally.total} documents went through the work pool into the knowledge base: "
        f"{tally.chunks} passages in {tally.seconds:.1f} s, {tally.skipped} unchanged.[/dim]"
    )


async def _running_here() -> Settings | None:
    """The settings of an `up` that runs in this folder, if one does."""
    settings = Settings.load()
    if not settings.health_url:
        return None
    async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
        try:
            answer = await http.get(f"{settings.health_url}/healthz")
        except httpx2.TransportError:
            return None
    return settings if answer.status_code == 200 else None


def _tell(settings: Settings, runs: int, took: float, start: float) -> None:
    out.print(f"{runs} runs in {took:.1f} s; the parts were ready after {start:.1f} s.")
    if settings.uses_simulator:
        out.print(
            "The model was the simulator, a stand-in: set OPENAI_API_KEY or OPENAI_BASE_URL "
            "for a real one."
        )
    if settings.inbox_url:
        out.print(
            f"What waits for a person is decided on the reviewers' page: {settings.inbox_url}"
        )
    else:
        out.print(
            "The demonstration decided by itself: people do so on the reviewers' page, which "
            "`durable-agents up` serves, or with `durable-agents decide`."
        )
    out.print("The runs are kept: `durable-agents up` brings their pages back.")


async def _start(client: Client, settings: Settings, scene: Scene) -> Shown:
    handle = await start(client, scene.flow, scene.request)
    url = run_url(settings, client.namespace, handle.id, handle.first_execution_run_id or "")
    handle = client.get_workflow_handle(handle.id, result_type=scene.result_type)
    return Shown(scene, handle, url)


async def _play(shown: Sequence[Shown], kill_worker: Callable[[], Awaitable[str]]) -> None:
    """Wait for all runs and show where they are."""
    waits = [asyncio.ensure_future(_finish(one)) for one in shown]
    killing = asyncio.ensure_future(_meddle(shown, kill_worker))
    people = [
        asyncio.ensure_future(one.scene.on_started(one.handle))
        for one in shown
        if one.scene.on_started is not None
    ]
    with Live(_progress(shown), console=err, transient=True, auto_refresh=False) as live:
        while not all(wait.done() for wait in waits):
            await asyncio.gather(*(_look(one) for one in shown if not one.answer))
            live.update(_progress(shown), refresh=True)
            await asyncio.sleep(SHOW_EVERY_S)
    for person in people:
        person.cancel()  # whose run has ended without asking
    await asyncio.gather(*people, return_exceptions=True)
    await asyncio.gather(*waits, killing)


async def _finish(one: Shown) -> None:
    began = time.perf_counter()
    try:
        one.answer = one.scene.answer(await one.handle.result())
    except WorkflowFailureError as error:
        one.answer, one.failed = failure_of(error)[1], True
    one.seconds = time.perf_counter() - began
    one.line = "done"


async def _look(one: Shown) -> None:
    line = await describe(one.handle)
    if line and not one.answer:
        one.line = line


async def _meddle(shown: Sequence[Shown], kill_worker: Callable[[], Awaitable[str]]) -> None:
    """Kill the worker as soon as the run that shows it is inside a tool or a model call."""
    victims = [one for one in shown if one.scene.kill_worker]
    while victims and not any(one.line.startswith("think") or one.answer for one in victims):
        await asyncio.sleep(0.02)
        await asyncio.gather(*(_look(one) for one in victims))
    if victims:
        err.print(await kill_worker())


async def _prepare(simulator_url: str) -> None:
    """Let the simulator think about the run whose worker is killed, and refuse an agent."""
    slow = {"route": "chat", "kind": "latency", "latency_s": 1, "match": ACCOUNT}
    refused = {
        "route": "chat",
        "status": 400,
        "match": get_agent("primary_worker").instructions[:40],
    }
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as http:
        for fault in (slow, refused):
            await http.post(f"{simulator_url}/_faults", json=fault)


async def _kill_worker(health_url: str) -> str:
    """Kill the worker process as a crash would; its supervisor starts another."""
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as http:
        state = (await http.get(f"{health_url}/healthz")).json()
    pid = int(state["processes"][0]["pid"])
    os.kill(pid, signal.SIGKILL)
    return f"[yellow]kill -9 {pid}: the worker process is gone; another takes over.[/yellow]"


def _progress(shown: Sequence[Shown]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in shown:
        mark = "[red]✗[/red]" if one.failed else "[green]✓[/green]" if one.answer else "…"
        table.add_row(mark, one.scene.title, f"[dim]{one.line}[/dim]")
    return table


def _show_results(shown: Sequence[Shown]) -> None:
    table = Table("#", "flow", "result", "s", show_lines=True, box=box.SIMPLE)
    for number, one in enumerate(shown, 1):
        answer = one.answer if len(one.answer) <= ANSWER_CHARS else one.answer[:ANSWER_CHARS] + "…"
        colour = "red" if one.failed else "green"
        title = f"[{colour}]{one.scene.title}[/{colour}]\n[dim]{one.scene.flow.workflow}[/dim]"
        table.add_row(str(number), title, escape(answer), f"{one.seconds:.1f}")
    out.print(table)
    out.print("Step by step, in the Temporal Web UI:")
    for number, one in enumerate(shown, 1):
        out.print(f"  {number}  {one.url or one.handle.id}", soft_wrap=True)
