"""Traces where things go wrong: replays, other workers, errors, secrets, a collector away."""

import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError
from durable_agents.models.redaction import SECRETS
from durable_agents.models.spans import SPANS
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.tracing import Tracing, begin_tracing
from tests.commanding import make_namespace
from tests.conftest import early_server, running_workers
from tests.runtime.collector import Collector, SeenSpan, collecting
from tests.steering import Simulator
from tests.workflows import reviewing, runs

DONE = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
KEY = "sk-" + "a1b2c3d4" * 4


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


@contextmanager
def traced(url: str, *, timeout_s: float = 10, **more: Any) -> Generator[Tracing]:
    """Traces of this process while the block lasts; sent when it ends."""
    given = Settings.model_validate({"otel_exporter_otlp_endpoint": url, **more})
    tracing = begin_tracing(given, timeout_s=timeout_s)
    assert tracing is not None
    try:
        yield tracing
    finally:
        tracing.end()


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
        update={"temporal_address": early, "worker_cached_workflows": 0}
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
            result = await client.get_workflow_handle(handle.id).result()

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
    assert "2 + 3" in tool.attributes["gen_ai.tool.call.arguments"]
    assert "5" in tool.attributes["gen_ai.tool.call.result"]
    assert KEY.encode() not in scene.collector.raw


def test_a_collector_that_is_away_is_told_of_once_and_costs_no_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    lost: list[int] = []

    began = time.process_time()
    with traced("http://127.0.0.1:1", timeout_s=0.2) as tracing:
        tracing.exporter.lost = lost.append
        for _ in range(300):
            with SPANS.span("work"):
                pass
        took = time.process_time() - began
    ours = [one for one in caplog.records if one.name.startswith(("durable", "opentelemetry"))]

    assert took < 5
    assert sum(lost) == pytest.approx(300, abs=10)  # a span may find room at the last moment
    assert [one.name for one in ours] == ["durable_agents.runtime.tracing"]
    assert "Spans do not reach http://127.0.0.1:1" in ours[0].getMessage()


def test_a_collector_that_refuses_is_named_with_its_reason_and_its_return_is_told(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    collector.refuses = True

    with traced(collector.url) as tracing:
        with SPANS.span("lost"):
            pass
        await_lost = threading.Event()
        tracing.exporter.lost = lambda _: await_lost.set()
        assert await_lost.wait(30)
        collector.refuses = False
        with SPANS.span("taken"):
            pass

    said = [one.getMessage() for one in caplog.records if one.name.startswith("durable")]
    assert [one.name for one in collector.spans] == ["taken"]
    assert "(Unauthorized)" in said[0]
    assert said[1] == f"Spans reach {collector.url} again."


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p@host", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a token", "it is no list such as name=value"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "Input should be 'http/protobuf'"),
        ("OTEL_RESOURCE_ATTRIBUTES", "prod", "it is no list such as name=value"),
        ("OTEL_TRACES_SAMPLER", "some", "Input should be"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "less than or equal to 1"),
        ("LOG_FORMAT", "xml", "Input should be 'text' or 'json'"),
    ],
)
def test_a_value_that_does_not_fit_is_one_clear_line(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.load({variable: value}, dotenv=None, use_run_file=False)

    line = raised.value.message
    assert line.startswith(f"{variable} is not usable: ")
    assert said in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("sampler", "ratio", "names"),
    [
        ("always_off", 1, []),
        ("parentbased_traceidratio", 0, []),
        ("traceidratio", 1, ["outer", "inner"]),
    ],
)
def test_a_sampler_keeps_whole_traces(
    collector: Collector, sampler: str, ratio: float, names: list[str]
) -> None:
    with (
        traced(collector.url, otel_traces_sampler=sampler, otel_traces_sampler_arg=ratio),
        SPANS.span("outer"),
        SPANS.span("inner"),
    ):
        pass

    assert sorted(one.name for one in collector.spans) == sorted(names)


def test_what_a_collector_wants_to_see_is_a_secret() -> None:
    token = "t0ken-for-the-collector"

    Settings.load(
        {"OTEL_EXPORTER_OTLP_HEADERS": f"x-team=a,authorization=Bearer%20{token}"},
        dotenv=None,
        use_run_file=False,
    )

    assert token not in SECRETS.redact(f"sent with {token}")


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert begin_tracing(Settings()) is None
    assert not SPANS.on
    assert SPANS.ids() == {}
