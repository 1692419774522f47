"""Traces and logs of real runs, as a collector and a reader of logs get them."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from tests.commanding import Commands, folder_for_commands, make_namespace
from tests.runtime.collector import Collector, SeenSpan, collecting
from tests.workflows import runs

SERVER, CLIENT = 2, 3
CHAT = f"chat {SIMULATOR_MODEL}"
TREE = Counter(
    {
        ("StartWorkflow:ReActWorkflow", ""): 1,
        ("RunWorkflow:ReActWorkflow", "StartWorkflow:ReActWorkflow"): 1,
        ("invoke_agent assistant", "RunWorkflow:ReActWorkflow"): 1,
        ("RunActivity:create_thread", "invoke_agent assistant"): 1,
        ("RunActivity:think", "invoke_agent assistant"): 2,
        (CHAT, "RunActivity:think"): 2,
        ("RunActivity:calculate", "invoke_agent assistant"): 1,
        ("execute_tool calculate", "RunActivity:calculate"): 1,
    }
)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="module")
async def command(
    client: Client, settings: Settings, collector: Collector
) -> AsyncIterator[Commands]:
    await make_namespace(client, "traces")
    with folder_for_commands() as folder:
        yield Commands(
            settings,
            Path(folder),
            TEMPORAL_NAMESPACE="traces",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="x-scope=of%20tests",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=tests",
            OTEL_BSP_SCHEDULE_DELAY="600000",  # what arrives was flushed when the process ended
        )


def named(spans: list[SeenSpan], name: str) -> SeenSpan:
    return next(one for one in spans if one.name == name)


async def test_a_trace_leads_from_the_command_to_the_tool_and_logs_carry_its_ids(
    command: Commands, collector: Collector
) -> None:
    word = runs.token()
    task = f"What is 12.5 % of 2480, {word}?"

    async with command.worker(LOG_FORMAT="json", LOG_LEVEL="INFO") as service:
        done = await command("react", task, "--json", "--id", "traced-1", stdin=None)
        await service.stop()

    spans = collector.of_run("traced-1")
    by_id = {one.span: one for one in spans}
    tree = Counter((one.name, by_id[one.parent].name if one.parent else "") for one in spans)
    assert done.code == 0, done.err
    assert len(by_id) == len(spans)
    assert tree == TREE
    _check_attributes(spans, done.json["run"], str(done.json["thread"]))
    assert all(headers["x-scope"] == "of tests" for headers in collector.headers)
    assert word.encode() not in collector.raw
    assert b"310" not in b"".join(one.name.encode() for one in spans)
    _check_logs(service.said, spans)


def _check_attributes(spans: list[SeenSpan], run_id: str, thread: str) -> None:
    start, chat = named(spans, "StartWorkflow:ReActWorkflow"), named(spans, CHAT)
    run, tool = named(spans, "RunWorkflow:ReActWorkflow"), named(spans, "execute_tool calculate")
    assert (start.kind, run.kind, chat.kind) == (CLIENT, SERVER, CLIENT)
    assert run.attributes["temporalRunID"] == run_id
    assert run.began <= chat.began < chat.ended <= run.ended
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.request.model"] == SIMULATOR_MODEL
    assert chat.attributes["gen_ai.response.model"] == SIMULATOR_MODEL
    assert chat.attributes["gen_ai.agent.name"] == "assistant"
    invoked = named(spans, "invoke_agent assistant")
    assert chat.attributes["gen_ai.conversation.id"] == thread
    assert invoked.attributes["gen_ai.conversation.id"] == thread
    assert chat.attributes["gen_ai.usage.input_tokens"] > 0
    assert chat.attributes["gen_ai.usage.output_tokens"] > 0
    assert tool.attributes["gen_ai.tool.name"] == "calculate"
    assert tool.attributes["gen_ai.tool.call.id"]
    assert not any(one.failed for one in spans)
    assert start.resource["durable_agents.roles"] == "starter"
    assert start.resource["temporal.namespace"] == "traces"
    assert start.resource["service.version"] == run.resource["service.version"]
    assert run.resource["durable_agents.roles"] == "workflows,llm,tools,pool"
    assert run.resource["temporal.namespace"] == "traces"
    assert run.resource["service.name"] == "durable-agents"
    assert run.resource["deployment.environment.name"] == "tests"


def _check_logs(said: list[str], spans: list[SeenSpan]) -> None:
    """All that the supervisor, the worker and libraries wrote is JSON, and leads to the trace."""
    lines = [json.loads(line) for line in said]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    inside = [line for line in lines if line.get("step") == "think-1"]
    ids = {(one.trace, one.span) for one in spans if one.name == CHAT}
    assert inside
    assert all(line["workflow"] == "traced-1" and line["run"] for line in inside)
    assert {(line["trace_id"], line["span_id"]) for line in inside} <= ids


async def test_a_collector_that_is_away_is_told_of_once_and_holds_nothing_up(
    command: Commands,
) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "50"}

    async with command.worker(**nowhere) as service:
        done = await command("react", "What is 1 + 1?", "--json", stdin=None, **nowhere)

        def told() -> list[str]:
            return [line for line in service.said if "Spans do not reach" in line]

        async def is_told() -> bool:
            return bool(told())

        await runs.until(is_told, "the worker says it", within=60)
        code = await service.stop()

    assert (done.code, code) == (0, 0)
    assert "Spans do not reach http://127.0.0.1:1 (" in done.sentence
    assert len(told()) == 1
    assert "http://127.0.0.1:1 (ConnectionError)" in told()[0]
    assert not any("opentelemetry" in line or "Traceback" in line for line in service.said)
