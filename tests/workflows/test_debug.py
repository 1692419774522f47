"""F13: what a run logs, and that a replay logs nothing."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import Replayer, Worker

from activities.arithmetic import ArithmeticActivities
from durable_agents.models.debug import DebugInput, DebugResult
from durable_agents.runtime.connection import plugin
from durable_agents.runtime.logs import JSONFormatter
from tests.workflows import runs
from workflows.debug import DebugWorkflow

WORKFLOW = "DebugWorkflow"
MESSAGES = ["Before step 1", "Step 1 is done, step 2 comes", "After step 2"]


class Log:
    """The log as a worker writes it with LOG_FORMAT=json."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def of(self, handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
        """The lines of one workflow."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line.get("workflow") == handle.id]

    def of_workflow_code(self, handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
        """Those that the workflow wrote, and not its activities."""
        return [line for line in self.of(handle) if line["logger"] == "temporalio.workflow"]


@pytest.fixture
def log() -> Iterator[Log]:
    written = Log()
    handler = logging.StreamHandler(written.stream)
    handler.setFormatter(JSONFormatter())
    loggers = [logging.getLogger(f"temporalio.{name}") for name in ("workflow", "activity")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield written
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


async def start(client: Client, *values: float, **options: Any) -> WorkflowHandle[Any, Any]:
    request = DebugInput(values=values, **options)
    return await runs.start(client, WORKFLOW, request, result_type=DebugResult)


@pytest.mark.usefixtures("worker")
async def test_the_steps_follow_each_other(client: Client) -> None:
    handle = await start(client, 3, 4, 5)

    result = await runs.result_of(handle)

    assert result == DebugResult(count=3, total=12, mean=4)
    assert await runs.activities_of(handle) == ["step-1", "step-2"]
    assert (await runs.status_of(handle)).steps == ("step-1", "step-2")


@pytest.mark.usefixtures("worker")
async def test_log_lines_name_workflow_run_and_step(client: Client, log: Log) -> None:
    handle = await start(client, 3, 4, 5)
    await runs.result_of(handle)

    lines = log.of(handle)

    assert [(line["message"].partition(" (")[0], line["step"]) for line in lines] == [
        ("Before step 1", "step-1"),
        ("Adding up 3 values", "step-1"),
        ("Step 1 is done, step 2 comes", "step-2"),
        ("Finding the mean of 3 values", "step-2"),
        ("After step 2", "step-2"),
    ]
    assert {line["run"] for line in lines} == {handle.first_execution_run_id}


@pytest.mark.usefixtures("worker")
async def test_a_replay_logs_nothing(client: Client, log: Log) -> None:
    handle = await start(client, 1, 2)
    await runs.result_of(handle)
    before = len(log.of_workflow_code(handle))

    history = await handle.fetch_history()
    await Replayer(workflows=[DebugWorkflow], plugins=[plugin()]).replay_workflow(history)

    assert before == 3
    assert len(log.of_workflow_code(handle)) == before


async def test_a_run_that_is_replayed_at_every_step_logs_each_line_once(
    client: Client, log: Log
) -> None:
    arithmetic = ArithmeticActivities()
    queue = runs.token()
    async with Worker(
        client,
        task_queue=queue,
        workflows=[DebugWorkflow],
        activities=[arithmetic.add_up, arithmetic.find_mean],
        max_cached_workflows=0,
    ):
        handle = await client.start_workflow(
            WORKFLOW, DebugInput(values=(1, 2), pause_s=0.05), id=queue, task_queue=queue
        )
        await runs.result_of(handle)

    said = [line["message"].partition(" (")[0] for line in log.of_workflow_code(handle)]
    assert said == MESSAGES


@pytest.mark.usefixtures("worker")
async def test_a_total_that_no_number_can_hold_fails_the_run(client: Client) -> None:
    handle = await start(client, 1e308, 1e308)

    kind, message = await runs.failure_of(handle)

    assert kind == "InputError"
    assert "more than a number can hold" in message
    assert await runs.attempts_of(handle, "step-1") == 1


@pytest.mark.usefixtures("worker")
async def test_a_run_ends_at_its_deadline(client: Client) -> None:
    handle = await start(client, 1, pause_s=60, deadline_s=0.5)

    kind, _ = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"


@pytest.mark.usefixtures("worker")
async def test_a_cancelled_run_ends_cancelled(client: Client) -> None:
    handle = await start(client, 1, pause_s=60)
    await runs.until_step(handle, "pause")
    await handle.cancel()

    kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "given",
    [[], [{"values": []}], [{"values": ["a"]}], [{"values": [1], "pause_s": -1}], [[1, 2]]],
    ids=str,
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
