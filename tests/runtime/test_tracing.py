"""Traces of runs where things go wrong: replays, other workers, errors, secrets, pools."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings
from durable_agents.telemetry.spans import SPANS
from tests.commanding import make_namespace
from tests.conftest import early_server, running_workers
from tests.db.pooling import new_pool
from tests.runtime.collector import Collector, SeenSpan, collecting, traced
from tests.steering import Simulator
from tests.workflows import reviewing, runs
from tests.workflows.pooled import noop, until_counts

DONE = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
KEY = "sk-" + "a1b2c3d4" * 4


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


@dataclass(frozen=True)
class Scene:
    """A worker and a client that trace, and who gets it."""

    client: Client
    collector: Collector

    async def spans_of(self, handle: WorkflowHandle[Any, Any], last: str) -> list[SeenSpan]:
        """The spans of a run, once a span of this name has come."""
        await self.collector.until(last, handle.id)
        return self.collector.of_run(handle.id)


@pytest.fixture(scope="module")
async def scene(client: Client, settings: Settings) -> AsyncIterator[Scene]:
    await make_namespace(client, "tracing")
    there = settings.model_copy(update={"temporal_namespace": "tracing"})
    with pytest.MonkeyPatch.context() as patch, collecting() as listening:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with traced(listening.url):
            tracing = await connect(there)
            async with running_workers(tracing, there):
                yield Scene(tracing, listening)


@pytest.fixture(scope="module")
async def early() -> AsyncIterator[str]:
    """The address of a server on which runs continue as new after about three rounds."""
    async with await early_server() as environment:
        yield environment.client.service_client.config.target_host


async def test_replays_another_worker_and_a_run_that_goes_on_for_another_double_no_span(
    early: str, settings: Settings, collector: Collector
) -> None:
    forgetful = settings.model_copy(
        update={
            "temporal_address": early,
            "worker_cached_workflows": 0,
            "payload_keys": SecretStr(made_key("k1")),  # the headers of traces are encrypted, too
        }
    )
    task = f"simulate 12 rounds of {runs.token()}"

    with traced(collector.url):
        client = await connect(forgetful)
        async with running_workers(client, forgetful):
            handle = await runs.start_react(client, task, max_rounds=13)

            async def is_under_way() -> bool:
                return await runs.count_of(handle, DONE) >= 3

            await runs.until(is_under_way, "the run is under way", within=30)
        async with running_workers(client, forgetful):
            ended = client.get_workflow_handle(handle.id)
            result = await ended.result()
            await ended.query("status")  # which replays it all

    spans = collector.of_run(handle.id)
    ids = {one.span for one in spans}
    chain = [one for one in spans if one.name == "RunWorkflow:ReActWorkflow"]
    attempts = Counter(
        (
            one.attributes["temporalRunID"],
            one.attributes["temporalActivityID"],
            one.attributes["attempt"],
        )
        for one in spans
        if one.name.startswith("RunActivity:")
    )
    assert result["rounds"] == 13
    assert len(ids) == len(spans)
    assert len(chain) >= 2
    assert len({one.attributes["temporalRunID"] for one in chain}) == len(chain)
    assert Counter(one.name for one in spans)["invoke_agent assistant"] == len(chain)
    assert set(attempts.values()) == {1}
    assert [one.name for one in spans if one.parent not in ids] == ["StartWorkflow:ReActWorkflow"]


async def test_what_fails_is_marked_with_the_name_of_its_error_and_nothing_of_its_words(
    scene: Scene, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"status": 503}):
        handle = await runs.start_react(scene.client, f"Say hello to {word}.")
        await runs.result_of(handle)
    spans = await scene.spans_of(handle, "RunWorkflow:ReActWorkflow")
    nowhere = await runs.start(scene.client, "WeatherAdviceWorkflow", WeatherAdviceInput(city=word))
    await runs.failure_of(nowhere)
    failed = await scene.spans_of(nowhere, "RunWorkflow:WeatherAdviceWorkflow")

    chats = [one for one in spans if one.name.startswith("chat ")]
    assert [one.failed for one in chats] == [True, False]
    assert chats[0].attributes["error.type"] == "ModelUnavailableError"
    assert {one.name for one in spans if one.failed} == {chats[0].name, "RunActivity:think"}
    assert {(one.name, one.attributes["error.type"]) for one in failed if one.failed} == {
        ("RunActivity:fetch_weather", "UnknownCityError"),
        ("RunWorkflow:WeatherAdviceWorkflow", "UnknownCityError"),
    }
    assert word.encode() not in scene.collector.raw


async def test_a_person_who_decides_is_seen_in_a_trace_of_their_own(
    scene: Scene, database: Database
) -> None:
    handle = await reviewing.start(scene.client, await reviewing.new_task(database))
    pending = await reviewing.waiting(handle)
    await reviewing.decide(handle, pending, verdict="approve", by="ann")
    await runs.result_of(handle)
    await scene.collector.until("RunWorkflow:ReviewWorkflow", handle.id)

    spans = [
        one
        for one in scene.collector.spans
        if one.attributes.get("temporalWorkflowID") == handle.id
    ]
    by_id = {one.span: one for one in spans}
    told = next(one for one in spans if one.name == "HandleUpdate:submit_decision")
    run = next(one for one in spans if one.name == "RunWorkflow:ReviewWorkflow")
    assert by_id[told.parent].name == "StartWorkflowUpdate:submit_decision"
    assert by_id[run.parent].name == "StartWorkflow:ReviewWorkflow"
    assert told.trace != run.trace
    assert not any("status" in one.name for one in spans)


async def test_an_agent_that_nobody_defined_names_no_span(scene: Scene) -> None:
    word = runs.token()

    handle = await runs.start_react(scene.client, "Hello.", agent=f"tell {word}")
    await runs.failure_of(handle)
    spans = await scene.spans_of(handle, "RunWorkflow:ReActWorkflow")

    assert "invoke_agent" in {one.name for one in spans}
    assert word.encode() not in scene.collector.raw


async def test_jobs_of_a_pool_are_in_traces_of_their_own_linked_to_who_put_them_in(
    scene: Scene, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)

    with SPANS.span("submit"):
        ids = await lanes.submit(scene.client, database, pool, [noop(), noop()])
    await until_counts(database, pool, done=2)
    await scene.collector.until("RunWorkflow:PoolLaneWorkflow", lanes.lane_id(pool, 0))

    spans = scene.collector.spans
    by_id = {one.span: one for one in spans}
    lane = next(
        one
        for one in spans
        if one.name == "RunWorkflow:PoolLaneWorkflow"
        and one.attributes["temporalWorkflowID"] == lanes.lane_id(pool, 0)
    )
    of_pool = [one for one in spans if one.attributes.get("durable_agents.pool") == pool]
    jobs = [one for one in of_pool if one.name == "RunJob"]
    (put_in,) = (one for one in of_pool if one.name == "EnqueueJobs")
    work = [one for one in spans if one.name == "RunActivity:noop" and one.parent in by_id]
    assert [by_id[link].name for link in lane.links] == ["SignalWithStartWorkflow:PoolLaneWorkflow"]
    assert sorted(one.attributes["durable_agents.job"] for one in jobs) == sorted(ids)
    assert by_id[put_in.parent].name == "submit"
    assert put_in.attributes["durable_agents.jobs"] == 2
    assert [one.links for one in jobs] == [(lane.span, put_in.span)] * 2
    assert len({one.trace for one in (lane, by_id[lane.links[0]], *jobs)}) == 4
    assert {one.span for one in jobs} <= {one.parent for one in work}


async def test_a_job_that_nobody_traced_when_it_was_put_in_is_linked_to_its_lane_alone(
    scene: Scene, database: Database
) -> None:
    pool = await new_pool(database, max_parallelism=1)
    await lanes.pause(scene.client, database, pool)
    ids = await lanes.submit(scene.client, database, pool, [noop(), noop()])
    async with database.statement() as connection:
        put_in = text("UPDATE jobs SET traceparent = :by WHERE job_id = :job_id")
        for job_id, nobody in zip(ids, ("", "00-no-span-01"), strict=True):
            await connection.execute(put_in, {"job_id": job_id, "by": nobody})

    await lanes.resume(scene.client, database, pool)
    await until_counts(database, pool, done=2)
    await scene.collector.until("RunWorkflow:PoolLaneWorkflow", lanes.lane_id(pool, 0))

    jobs = [
        one
        for one in scene.collector.spans
        if one.name == "RunJob" and one.attributes["durable_agents.pool"] == pool
    ]
    (lane,) = (
        one.span
        for one in scene.collector.spans
        if one.name == "RunWorkflow:PoolLaneWorkflow"
        and one.attributes["temporalWorkflowID"] == lanes.lane_id(pool, 0)
    )
    assert [one.links for one in jobs] == [(lane,), (lane,)]


async def test_what_was_said_is_told_only_where_it_is_wanted_and_without_secrets(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = runs.token()
    monkeypatch.setattr(SPANS, "contents", True)

    handle = await runs.start_react(scene.client, f"What is 2 + 3? {word} {KEY}")
    await runs.result_of(handle)
    spans = await scene.spans_of(handle, "RunWorkflow:ReActWorkflow")

    chat = next(one for one in spans if one.name.startswith("chat "))
    tool = next(one for one in spans if one.name.startswith("execute_tool "))
    asked = json.loads(chat.attributes["gen_ai.input.messages"])
    said = json.loads(chat.attributes["gen_ai.output.messages"])
    assert asked[0]["role"] == "system"
    assert word in asked[-1]["parts"][0]["content"]
    assert said[0]["parts"][0]["type"] == "tool_call"
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"expression": "2 + 3"}
    assert "5" in tool.attributes["gen_ai.tool.call.result"]
    assert KEY.encode() not in scene.collector.raw
