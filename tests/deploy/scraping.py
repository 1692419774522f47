"""A scrape of a real worker, after runs of every kind that make its metrics appear."""

import asyncio
import secrets
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy import text
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_agents.agent.quotas import draw_of_tokens
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.db.quotas import settle
from durable_agents.jobs import lanes
from durable_agents.jobs.kinds.noop import NOOP, NoopPayload
from durable_agents.models import queues
from durable_agents.models.debug import DebugInput
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from tests.commanding import Commands, WorkerService, folder_for_commands, make_namespace
from tests.db.pooling import new_pool
from tests.steering import Simulator
from tests.workflows import orders, runs
from workflows.debug import PAUSE

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
JOB = "durable-agents"
SERVER_AWAY = "TRANSPORT_ERROR"  # what the SDK counts when it reaches nobody
REQUESTS_FAILED = "temporal_request_failure_total"
POLLS_FAILED = "temporal_long_request_failure_total"
WAITS = "durable_agents_quota_wait_seconds_count"
TOKENS_PER_MINUTE = 1_000_000  # more than is used here
SETTINGS = {
    "SIMULATOR": "on",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",  # nobody is there: spans are lost
    "MODEL_TOKENS_PER_MINUTE": f"{SIMULATOR_MODEL}={TOKENS_PER_MINUTE}",
    "MODEL_PRICES": f"{SIMULATOR_MODEL}=1/10",
}


@workflow.defn(name="DebugWorkflow")
class AnotherRelease:
    """What a release does whose histories the present one cannot follow: it begins otherwise."""

    @workflow.run
    async def run(self, _: DebugInput) -> None:
        """Ask for a step that nobody does."""
        await workflow.execute_activity(
            "rest", task_queue="nobody", start_to_close_timeout=timedelta(hours=1)
        )


class Line:
    """The way from a worker to the Temporal server, which can be cut."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._there = host, int(port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def address(self) -> str:
        """Where the worker reaches it."""
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> "Line":
        await self.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def join(self) -> None:
        """Open it; after a cut where it was before."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End what is open, and refuse what comes."""
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        for ends in ((reader, there_writer), (there_reader, writer)):
            pipe = asyncio.ensure_future(_pump(*ends))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    with closing(writer), suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@dataclass(frozen=True)
class Scene:
    """The servers, a client in a namespace of the scene's own, and the worker's way there."""

    client: Client
    database: Database
    simulator: Simulator
    line: Line

    async def begin_as_another_release(self) -> None:
        """A run that the worker will find to be non-deterministic."""
        async with Worker(
            self.client,
            task_queue=queues.WORKFLOWS,
            workflows=[AnotherRelease],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,
        ):
            begun = await runs.start(self.client, "DebugWorkflow", DebugInput(values=(1,)))

            async def has_begun() -> bool:
                return await runs.count_of(begun, SCHEDULED) == 1

            await runs.until(has_begun, "the run has begun", within=30)
        await begun.signal("go on")

    async def make_runs(self, pool: str) -> None:
        """Runs and jobs that end well, that fail, that are stuck and that are cancelled."""
        jobs = [NOOP.new(NoopPayload(is_final=bad), tenant="t-1") for bad in (False, True)]
        await lanes.submit(self.client, self.database, pool, jobs)
        await asyncio.gather(self._talk(), self._fail(), self._get_stuck(), self._cancel())

    async def _talk(self) -> None:
        """An agent that uses tools."""
        await runs.react(self.client, "What is 12.5 % of 2480, and what is the weather in Oslo?")

    async def _fail(self) -> None:
        """A model that fails once, and a run that fails."""
        word = runs.token()
        async with self.simulator.faults(word, {"status": 503}):
            await runs.react(self.client, f"Say hello to {word}.")
        nowhere = WeatherAdviceInput(city=word)
        await runs.failure_of(await runs.start(self.client, "WeatherAdviceWorkflow", nowhere))

    async def _get_stuck(self) -> None:
        """An order that cannot be undone, until its card is open again."""
        order_id = await orders.new_order(self.database, REFUND_REFUSED, fulfilment="fails")
        handle = await orders.start(self.client, order_id)

        async def is_parked() -> bool:
            return bool((await runs.status_of(handle)).waiting_for)

        await runs.until(is_parked, "the refund is parked", within=30)
        await orders.set_card(self.database, order_id, OK)
        await handle.signal("retry_compensation")
        await runs.failure_of(handle)

    async def _cancel(self) -> None:
        rests = DebugInput(values=(1,), pause_s=600)
        handle = await runs.start(self.client, "DebugWorkflow", rests)
        await runs.until_step(handle, PAUSE)
        await handle.cancel()

    async def use_up_the_quota(self, service: WorkerService) -> None:
        """A run that waits for its model's quota, of which ten minutes' tokens are gone."""
        bucket = draw_of_tokens(SIMULATOR_MODEL, TOKENS_PER_MINUTE, 0)
        async with self.database.statement() as connection:
            await settle(connection, bucket, back=-10 * TOKENS_PER_MINUTE)
        handle = await runs.start_react(self.client, "Say hello.")

        async def is_counted() -> bool:
            return any(sample.name == WAITS for sample in await scraped(service))

        await runs.until(is_counted, "the call waits", within=30)
        await handle.terminate()
        async with self.database.statement() as connection:
            await connection.execute(text("DELETE FROM quotas"))

    async def lose_the_server(self, service: WorkerService) -> None:
        """The way to the server is cut while a step is done, until the worker has noticed."""
        word = runs.token()
        async with self.simulator.faults(word, {"kind": "latency", "latency_s": 1}):
            handle = await runs.start_react(self.client, f"Say hello to {word}.")

            async def is_asked() -> bool:
                return bool(await self.simulator.calls(word))

            await runs.until(is_asked, "the model is asked", within=30)
            await self.line.cut()

            async def is_noticed() -> bool:
                failed = {
                    sample.name
                    for sample in await scraped(service)
                    if sample.labels.get("status_code") == SERVER_AWAY
                }
                return {REQUESTS_FAILED, POLLS_FAILED} <= failed

            await runs.until(is_noticed, "requests fail", within=30)
            await self.line.join()
            await runs.result_of(handle)


@asynccontextmanager
async def scene_of(
    settings: Settings, client: Client, database: Database, simulator: Simulator
) -> AsyncGenerator[WorkerService]:
    """A worker that has done all this and runs on."""
    name = f"scraped-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    there = await connect(settings.model_copy(update={"temporal_namespace": name}))
    with folder_for_commands() as folder:
        async with Line(settings.temporal_address) as line:
            scene = Scene(there, database, simulator, line)
            await scene.begin_as_another_release()
            pool = await new_pool(database)  # before the worker looks for the first time
            given = {"TEMPORAL_ADDRESS": line.address, "TEMPORAL_NAMESPACE": name, **SETTINGS}
            async with Commands(settings, Path(folder), **given).worker() as service:
                await scene.make_runs(pool)
                await scene.use_up_the_quota(service)
                await scene.lose_the_server(service)
                yield service


async def scraped(service: WorkerService) -> list[Sample]:
    """What Prometheus would have of the page of metrics now, with what it adds itself."""
    page = (await service.get("/metrics")).text
    target = {"job": JOB, "instance": service.url.removeprefix("http://")}
    families = text_string_to_metric_families(page)
    shown = [
        sample._replace(labels={**sample.labels, **target})
        for family in families
        for sample in family.samples
    ]
    return [*shown, Sample("up", target, 1)]
