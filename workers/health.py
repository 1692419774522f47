"""Health and metrics of the supervisor.

`/healthz` says whether every process polls, `/livez` only that the supervisor, which restarts
them, is at work; `/metrics` is merged from the processes.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from workers.supervisor import Child, Supervisor

SCRAPE_TIMEOUT_S = 3


def application(supervisor: Supervisor, build_id: str = "", roles: Sequence[str] = ()) -> Starlette:
    """The pages of a supervisor."""

    async def healthz(_: Request) -> Response:
        processes = [
            {
                "process": child.number,
                "pid": child.process.pid if child.process else None,
                "ready": child.ready,
            }
            for child in supervisor.children
        ]
        state: dict[str, Any] = {"ready": supervisor.ready, "processes": processes}
        if supervisor.complaint:
            state["reason"] = supervisor.complaint
        return JSONResponse(state, status_code=200 if supervisor.ready else 503)

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_: Request) -> Response:
        texts = await _scrape(supervisor.children)
        own = of_supervisor(supervisor, build_id, roles)
        return Response(merge(texts, own), media_type=CONTENT_TYPE_LATEST)

    pages = {"/healthz": healthz, "/livez": livez, "/metrics": metrics}
    return Starlette(routes=[Route(path, page) for path, page in pages.items()])


async def _scrape(children: Sequence[Child]) -> list[tuple[str, str]]:
    """The metrics of the processes that answer as they should, with the number of each."""
    async with httpx2.AsyncClient(timeout=SCRAPE_TIMEOUT_S, trust_env=False) as http:
        answers = await asyncio.gather(
            *(http.get(f"http://127.0.0.1:{child.metrics_port}/metrics") for child in children),
            return_exceptions=True,
        )
    return [
        (str(child.number), answer.text)
        for child, answer in zip(children, answers, strict=True)
        if isinstance(answer, httpx2.Response) and answer.is_success
    ]


def of_supervisor(supervisor: Supervisor, build_id: str, roles: Sequence[str]) -> list[Metric]:
    """What the supervisor itself knows."""
    ready = sum(child.ready for child in supervisor.children)
    processes = GaugeMetricFamily(
        "durable_agents_worker_processes", "Worker processes.", labels=["state"]
    )
    processes.add_metric(["ready"], ready)
    processes.add_metric(["not_ready"], len(supervisor.children) - ready)
    restarts = CounterMetricFamily(
        "durable_agents_worker_process_restarts", "Processes that died and were started again."
    )
    restarts.add_metric([], supervisor.restarts)
    names = ["version", "build_id", "roles"]
    info = GaugeMetricFamily("durable_agents_build_info", "What runs here.", labels=names)
    info.add_metric([version("durable-agents"), build_id, ",".join(roles)], 1)
    return [processes, restarts, info]


def merge(texts: Iterable[tuple[str, str]], own: Iterable[Metric] = ()) -> bytes:
    """Merge metrics in Prometheus' text form; the label `process` tells them apart.

    Args:
        texts: The number of each process, and what it shows.
        own: What has no process.
    """
    families: dict[str, Metric] = {}
    for number, text in texts:
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                labels = {**sample.labels, "process": number}
                merged.add_sample(sample.name, labels, sample.value)
    registry = CollectorRegistry()
    registry.register(_Merged([*own, *families.values()]))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        """Hand the families on."""
        return iter(self._families)
