"""What a worker process counts, as the SDK's core shows it."""

import asyncio
import time
import urllib.request
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy import text
from temporalio.client import Client
from temporalio.common import MetricMeter, SearchAttributePair, TypedSearchAttributes

from durable_agents.db import standing
from durable_agents.db.engine import Database
from durable_agents.db.standing import OTHERS, PoolStanding, Standing, Waiting
from durable_agents.db.usage import CallRecord
from durable_agents.runtime.settings import Settings
from tests.workers.test_service import free_port
from tests.workflows import runs
from workers import gauges
from workers.gauges import MOST_NAMED, Gauges, pause_after, show_gauges_for_ever
from workers.telemetry import Telemetry
from workers.worker_metrics import WorkerMetrics
from workflows.flow import PHASE


class Scrape:
    """A meter, and what it shows."""

    def __init__(self) -> None:
        self._port = free_port()
        self._telemetry = Telemetry.begin(Settings(), ["llm"], self._port)
        self.meter: MetricMeter = self._telemetry.meter

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Each sample by name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
            page = answer.read().decode()
        found: list[Sample] = [
            sample for family in text_string_to_metric_families(page) for sample in family.samples
        ]
        return {(one.name, frozenset(one.labels.items())): one.value for one in found}

    def value(self, name: str, **labels: str) -> float:
        """One of them."""
        return self.samples()[name, frozenset(labels.items())]


@pytest.fixture(scope="module")
def scrape() -> Scrape:
    return Scrape()


def call(outcome: str = "ok", tokens: tuple[int, int] = (500, 20)) -> CallRecord:
    return CallRecord("w", "r", "s", 1, "assistant", "m", "u", outcome, *tokens, 0.002, 1500)


def test_model_calls_are_counted_by_model_and_outcome_with_tokens_cost_and_time(
    scrape: Scrape,
) -> None:
    metrics = WorkerMetrics(scrape.meter)

    metrics.called(call())
    metrics.called(call())
    metrics.called(call("ModelUnavailableError", (0, 0)))

    name = "durable_agents_model"
    by = {"agent": "assistant", "model": "m"}
    assert scrape.value(f"{name}_calls_total", outcome="ok", **by) == 2
    assert scrape.value(f"{name}_calls_total", outcome="ModelUnavailableError", **by) == 1
    assert scrape.value(f"{name}_tokens_total", direction="input", **by) == 1000
    assert scrape.value(f"{name}_tokens_total", direction="output", **by) == 40
    assert scrape.value(f"{name}_cost_usd_sum", **by) == pytest.approx(0.006)
    seconds = {"model": "m", "outcome": "ok"}
    assert scrape.value(f"{name}_call_duration_seconds_sum", **seconds) == pytest.approx(3)
    assert scrape.value(f"{name}_call_duration_seconds_bucket", le="1", **seconds) == 0
    assert scrape.value(f"{name}_call_duration_seconds_bucket", le="2.5", **seconds) == 2


def test_tools_waits_and_lost_spans_are_counted(scrape: Scrape) -> None:
    metrics = WorkerMetrics(scrape.meter)

    metrics.acted("calculate", "ok", 0.02)
    metrics.acted("calculate", "InputError", 0.02)
    metrics.waited("default", 0.3)
    metrics.sent_away("default", 20)
    metrics.reserved("m", 700)
    metrics.lost(3)

    name = "durable_agents"
    assert scrape.value(f"{name}_tool_calls_total", tool="calculate", outcome="ok") == 1
    assert scrape.value(f"{name}_tool_calls_total", tool="calculate", outcome="InputError") == 1
    assert scrape.value(f"{name}_tool_call_duration_seconds_count", tool="calculate") == 2
    waits = f"{name}_quota_wait_seconds_sum"
    assert scrape.value(waits, quota="default", where="worker") == pytest.approx(0.3)
    assert scrape.value(waits, quota="default", where="server") == 20
    assert scrape.value(f"{name}_quota_tokens_reserved_total", model="m") == 700
    assert scrape.value(f"{name}_spans_lost_total") == 3


def test_a_pool_that_is_gone_shows_no_jobs(scrape: Scrape) -> None:
    gauges = Gauges(scrape.meter)
    pool = PoolStanding("p", queued=3, delayed=2, running=1, oldest_s=12.5, parallel=4)

    gauges.show(Standing({"review": Waiting(2, 60.5)}, (pool,), Waiting(1, 30.5), 5))
    gauges.show_database(up=True)
    there = scrape.samples()
    gauges.show(Standing({}, (), Waiting(), 0))
    gauges.show_database(up=False)
    gone = scrape.samples()

    def shown(name: str, **labels: str) -> tuple[float, float]:
        key = f"durable_agents_{name}", frozenset(labels.items())
        return there[key], gone[key]

    assert shown("pool_jobs", pool="p", status="queued") == (3, 0)
    assert shown("pool_jobs", pool="p", status="delayed") == (2, 0)
    assert shown("pool_jobs", pool="p", status="running") == (1, 0)
    assert shown("pool_oldest_queued_seconds", pool="p") == (12.5, 0)
    assert shown("pool_max_parallelism", pool="p") == (4, 0)
    assert shown("approvals_waiting", kind="review") == (2, 0)
    assert shown("approvals_waiting", kind="tool") == (0, 0)
    assert shown("approvals_oldest_seconds", kind="review") == (60.5, 0)
    assert shown("refunds_open") == (1, 0)
    assert shown("refunds_oldest_seconds") == (30.5, 0)
    assert shown("notifications_uncertain") == (5, 0)
    assert shown("database_up") == (1, 0)


def test_however_many_pools_come_and_go_a_process_names_so_many_and_no_more(
    scrape: Scrape,
) -> None:
    gauges = Gauges(scrape.meter)

    for number in range(MOST_NAMED + 5):
        here = PoolStanding(f"passing-{number}", 2, 1, 0, 7.5, 4)
        others = PoolStanding(OTHERS, 5, 0, 0, 3.5, 1)
        gauges.show(Standing({}, (here, others), Waiting(), 0))

    names = {dict(labels).get("pool", "") for _, labels in scrape.samples()}
    oldest = scrape.value("durable_agents_pool_oldest_queued_seconds", pool=OTHERS)
    assert len([name for name in names if name.startswith("passing-")]) == MOST_NAMED
    assert scrape.value("durable_agents_pool_jobs", pool=OTHERS, status="queued") == 7
    assert scrape.value("durable_agents_pool_max_parallelism", pool=OTHERS) == 5
    assert oldest == 7.5


async def test_a_database_that_is_away_is_shown_and_ends_nothing(
    scrape: Scrape, client: Client
) -> None:
    database = Database("postgresql://127.0.0.1:1/none")
    Gauges(scrape.meter).show_database(up=True)

    showing = asyncio.create_task(show_gauges_for_ever(client, database, scrape.meter))

    async def is_shown() -> bool:
        key = "durable_agents_database_up", frozenset[tuple[str, str]]()
        return (await asyncio.to_thread(scrape.samples))[key] == 0

    await runs.until(is_shown, "the database is shown as away", within=30)
    assert not showing.done()
    showing.cancel()
    await asyncio.wait([showing])
    await database.close()


async def test_a_database_that_takes_too_long_to_say_is_up_and_what_is_shown_gets_old(
    scrape: Scrape, client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_TIMEOUT", text("SET LOCAL statement_timeout = 50"))
    monkeypatch.setattr(standing, "_UNCERTAIN", text("SELECT 1 FROM pg_sleep(60)"))
    gauges = Gauges(scrape.meter)
    gauges.show_database(up=False)
    gauges.show_asked(1)
    gauges.show_compensating(7, 7)  # which is asked after the database

    showing = asyncio.create_task(show_gauges_for_ever(client, database, scrape.meter))

    async def is_shown() -> bool:
        shown = await asyncio.to_thread(scrape.value, "durable_agents_runs_compensating_long")
        return shown != 7

    await runs.until(is_shown, "it was asked", within=30)
    showing.cancel()
    await asyncio.wait([showing])
    assert scrape.value("durable_agents_database_up") == 1
    assert scrape.value("durable_agents_gauges_asked_timestamp_seconds") == 1


async def test_when_all_is_asked_the_time_is_shown(
    scrape: Scrape, client: Client, database: Database
) -> None:
    Gauges(scrape.meter).show_asked(1)
    began = time.time()

    showing = asyncio.create_task(show_gauges_for_ever(client, database, scrape.meter))

    async def is_shown() -> bool:
        name = "durable_agents_gauges_asked_timestamp_seconds"
        return await asyncio.to_thread(scrape.value, name) >= began

    await runs.until(is_shown, "all is asked", within=30)
    showing.cancel()
    await asyncio.wait([showing])


@pytest.mark.parametrize("minutes", [60, -60])
async def test_runs_that_compensate_count_as_long_only_when_they_began_long_ago(
    scrape: Scrape,
    client: Client,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
) -> None:
    monkeypatch.setattr(gauges, "LONG", timedelta(minutes=minutes))
    monkeypatch.setattr(gauges, "EVERY_S", 0.1)
    Gauges(scrape.meter).show_compensating(0, 10**6)
    phase = TypedSearchAttributes([SearchAttributePair(PHASE, "compensating")])
    handle = await client.start_workflow(
        "Parked", id=runs.token(), task_queue="nobody", search_attributes=phase
    )

    showing = asyncio.create_task(show_gauges_for_ever(client, database, scrape.meter))

    async def is_shown() -> bool:
        every, long = await asyncio.to_thread(compensating, scrape)
        return every >= 1 and long == (every if minutes < 0 else 0)

    await runs.until(is_shown, "it is counted", within=30)
    showing.cancel()
    await asyncio.wait([showing])
    await handle.terminate()


def compensating(scrape: Scrape) -> tuple[float, float]:
    """How many runs compensate, and how many of them began long ago."""
    name = "durable_agents_runs_compensating"
    return scrape.value(name), scrape.value(f"{name}_long")


def test_servers_that_take_long_to_say_are_asked_less_often() -> None:
    assert pause_after(0.1) == 15
    assert pause_after(3) == 60
    assert pause_after(40) == 120
