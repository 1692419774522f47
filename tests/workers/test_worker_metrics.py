"""What a worker process counts, as the SDK's core shows it."""

import asyncio
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from temporalio.client import Client
from temporalio.common import MetricMeter

from durable_agents.db.engine import Database
from durable_agents.db.standing import OTHERS, PoolStanding, Standing, Waiting
from durable_agents.db.usage import CallRecord
from durable_agents.runtime.settings import Settings
from tests.workers.test_service import free_port
from tests.workflows import runs
from workers.gauges import MOST_NAMED, Gauges, show_gauges_for_ever
from workers.telemetry import Telemetry
from workers.worker_metrics import WorkerMetrics


class Scrape:
    """A meter, and what it shows."""

    def __init__(self) -> None:
        self._port = free_port()
        self._telemetry = Telemetry.begin(Settings(), ["llm"], self._port)
        self.meter: MetricMeter = self._telemetry.meter

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Each sample by name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
            text = answer.read().decode()
        found: list[Sample] = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
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

    gauges.show(Standing({"review": Waiting(2, 60.5)}, (pool,), 1, 5))
    there = scrape.samples()
    gauges.show(Standing({}, (), 0, 0))
    gauges.database_away()
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
    assert shown("notifications_uncertain") == (5, 0)
    assert shown("database_up") == (1, 0)


def test_however_many_pools_come_and_go_a_process_names_so_many_and_no_more(
    scrape: Scrape,
) -> None:
    gauges = Gauges(scrape.meter)

    for number in range(MOST_NAMED + 5):
        here = PoolStanding(f"passing-{number}", 2, 1, 0, 7.5, 4)
        gauges.show(Standing({}, (here, PoolStanding(OTHERS, 5, 0, 0, 3.5, 1)), 0, 0))

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
    Gauges(scrape.meter).show(Standing({}, (), 0, 0))

    showing = asyncio.create_task(show_gauges_for_ever(client, database, scrape.meter))

    async def is_shown() -> bool:
        key = "durable_agents_database_up", frozenset[tuple[str, str]]()
        return (await asyncio.to_thread(scrape.samples))[key] == 0

    await runs.until(is_shown, "the database is shown as away", within=30)
    assert not showing.done()
    showing.cancel()
    await asyncio.wait([showing])
    await database.close()
