"""An agent whose model misbehaves: loops, nonsense, refusals, errors of its server."""

import pytest
from sqlalchemy import text
from temporalio.client import Client

from activities.thinking import CUT
from durable_agents.clients.completion import MAX_ANSWER_CHARS
from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_model_that_loops_ends_out_of_rounds(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "loop", "times": -1}):
        result = await runs.react(client, f"What is 6 * 7? {word}", max_rounds=3)

    assert result.stopped == "max_rounds"
    assert result.rounds == 3


async def test_an_empty_answer_is_asked_for_again(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "empty", "times": 2}):
        result = await runs.react(client, f"What is 6 * 7? {word}")

    assert "42" in result.answer
    assert result.usage.calls == 4
    assert "Your answer was empty" in (await simulator.calls(word))[1]["body"]


async def test_a_model_that_answers_nothing_fails_the_run_after_three_tries(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "empty", "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        kind, message = await runs.failure_of(handle)

    assert kind == "ModelOutputError"
    assert "in 3 tries" in message
    assert len(await simulator.calls(word)) == 3


async def test_nonsense_is_an_answer_and_ends_the_run(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "nonsense", "text": "\x00 Grue \ud7ff blick."}):
        result = await runs.react(client, f"What is 6 * 7? {word}")

    assert "Grue" in result.answer
    assert result.rounds == 1


async def test_an_answer_of_megabytes_is_cut_and_the_run_completes(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "too_long"}):
        result = await runs.react(client, f"Hello there, {word}.")

    assert result.stopped == "answered"
    assert 50_000 < len(result.answer) <= MAX_ANSWER_CHARS + len(CUT)
    assert result.answer.endswith(CUT)


async def test_an_answer_that_was_cut_short_says_so(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "cut_short"}):
        result = await runs.react(client, f"Hello there, {word}.")

    assert "was cut" in result.answer


async def test_a_refusal_is_the_answer(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "refusal", "text": "I would rather not."}):
        result = await runs.react(client, f"What is 6 * 7? {word}")

    assert result.answer == "I would rather not."


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401, "error_code": "invalid_api_key"}, "ModelAuthenticationError"),
        ({"status": 429, "error_code": "insufficient_quota"}, "ModelQuotaError"),
        ({"status": 400}, "ModelRequestError"),
        ({"status": 500, "should_retry": False}, "ModelRequestError"),
    ],
    ids=["wrong key", "no credit", "bad request", "server says no"],
)
async def test_a_refusal_of_the_models_server_fails_the_run_at_once(
    client: Client, simulator: Simulator, fault: dict[str, object], error: str
) -> None:
    word = runs.token()

    async with simulator.faults(word, {**fault, "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        kind, _ = await runs.failure_of(handle)

    assert kind == error
    assert len(await simulator.calls(word)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "retry_after": {"form": "ms", "value": 20}},
        {"status": 400, "should_retry": True, "retry_after": {"form": "ms", "value": 20}},
        {"kind": "drop"},
        {"kind": "invalid_json"},
    ],
    ids=["500", "server says yes", "dropped", "not JSON"],
)
async def test_a_transient_failure_of_the_model_is_tried_again(
    client: Client, simulator: Simulator, fault: dict[str, object]
) -> None:
    word = runs.token()

    async with simulator.faults(word, fault):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        result = await runs.result_of(handle)

    assert "42" in result.answer
    assert await runs.attempts_of(handle, "think-1") == 2


async def test_the_delay_that_the_server_names_goes_before_the_policy(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()
    limited = {"status": 429, "retry_after": {"form": "ms", "value": 1600}}

    async with simulator.faults(word, limited):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await runs.result_of(handle)

    events = await runs.events_of(handle)
    scheduled = next(
        event.event_time
        for event in events
        if event.activity_task_scheduled_event_attributes.activity_id == "think-1"
    )
    started = next(
        event.event_time
        for event in events
        if event.activity_task_started_event_attributes.attempt == 2
    )
    waited = (started.ToNanoseconds() - scheduled.ToNanoseconds()) / 1e9
    assert 1.6 <= waited < 3


async def test_usage_is_recorded_for_every_call_also_for_one_that_failed(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    limited = {"status": 429, "retry_after": {"form": "ms", "value": 10}}

    async with simulator.faults(word, limited):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", user_id="u-77")
        result = await runs.result_of(handle)

    query = text(
        "SELECT step, attempt, outcome, user_id, input_tokens FROM llm_calls"
        " WHERE workflow_id = :id ORDER BY llm_call_id"
    )
    async with database.statement() as connection:
        rows = [tuple(row) for row in await connection.execute(query, {"id": handle.id})]
    assert [row[:4] for row in rows] == [
        ("think-1", 1, "ModelUnavailableError", "u-77"),
        ("think-1", 2, "ok", "u-77"),
        ("think-2", 1, "ok", "u-77"),
    ]
    assert sum(row[4] for row in rows) == result.usage.input_tokens
