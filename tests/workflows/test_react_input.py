"""What `ReActWorkflow` is given: what it takes, and what it refuses and why."""

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.models.errors import PayloadTooLargeError
from durable_agents.models.react import ReActResult
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")


async def test_an_unknown_agent_is_refused_with_those_there_are(client: Client) -> None:
    handle = await runs.start_react(client, "Anything.", agent="nobody")

    kind, message = await runs.failure_of(handle)

    assert kind == "UnknownAgentError"
    assert "'nobody'" in message
    assert all(f" {name}" in message for name in ("assistant", "support"))
    assert await runs.activities_of(handle) == ["open-thread"]


async def test_an_unknown_thread_is_refused(client: Client) -> None:
    handle = await runs.start_react(client, "Anything.", thread=999_999_999)

    kind, message = await runs.failure_of(handle)

    assert kind == "NotFoundError"
    assert "no thread 999999999" in message


@pytest.mark.parametrize(
    "given",
    [
        [],
        [None],
        ["just a text"],
        [{}],
        [{"task": ""}],
        [{"task": " \n "}],
        [{"task": 7}],
        [{"task": "x", "max_rounds": 0}],
        [{"task": "x", "deadline_s": -1}],
        [{"task": "x", "thread": "one"}],
        [{"task": "x" * 200_000}],
        [{"task": "x"}, {"task": "y"}],
    ],
    ids=lambda given: str(given)[:40],
)
async def test_input_typed_by_hand_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, "ReActWorkflow", *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert 0 < len(message) < 1000
    assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED


async def test_an_input_of_megabytes_fails_the_run_with_its_reason(client: Client) -> None:
    handle = await runs.start(client, "ReActWorkflow", {"task": "x" * 3_000_000})

    kind, message = await runs.failure_of(handle)

    assert kind == "ValidationError"
    assert "at most 100000 characters" in message
    assert len(message) < 1000


async def test_an_input_beyond_what_the_store_takes_is_refused_before_it_is_sent(
    client: Client,
) -> None:
    with pytest.raises(PayloadTooLargeError, match="pass it by reference"):
        await runs.start(client, "ReActWorkflow", {"task": "x" * 34_000_000})


async def test_what_an_input_has_too_much_is_ignored(client: Client) -> None:
    handle = await runs.start(
        client, "ReActWorkflow", {"task": "What is 1 + 1?", "not_known": True}
    )

    result = ReActResult.model_validate(await runs.result_of(handle))

    assert "2" in result.answer


async def test_a_task_of_a_hundred_thousand_characters_is_worked_on(client: Client) -> None:
    task = "What is 6 * 7? " + "Lorem ipsum dolor. " * 5200

    result = await runs.react(client, task)

    assert "42" in result.answer


async def test_characters_that_databases_refuse_do_no_harm(client: Client) -> None:
    handle = await runs.start(client, "ReActWorkflow", {"task": "What is 6 * 7?\x00 Ünï💡 \u2028"})

    result = ReActResult.model_validate(await runs.result_of(handle))

    assert "42" in result.answer
