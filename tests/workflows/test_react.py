"""F9 with the real server, the real database, and the simulator as the model."""

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.thinking import CUT
from durable_agents.clients.completion import MAX_ANSWER_CHARS
from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.models.react import ReActResult, ToolUse
from durable_agents.models.status import Usage
from tests.steering import Simulator
from tests.workflows import runs
from workflows.react import OUT_OF_ROUNDS

pytestmark = pytest.mark.usefixtures("worker")


async def roles_of(database: Database, thread: int) -> list[str]:
    """Who says what in a thread, in order; observations that are no part of it are left out."""
    query = text(
        "SELECT role FROM messages WHERE thread_id = :thread AND position >= 0 ORDER BY position"
    )
    async with database.statement() as connection:
        return list(await connection.scalars(query, {"thread": thread}))


async def test_an_agent_answers_with_what_its_tools_found(
    client: Client, database: Database
) -> None:
    task = "What is 12.5 % of 2480, and what is the weather in Oslo?"

    result = await runs.react(client, task)

    assert "310" in result.answer
    assert "Oslo" in result.answer
    assert result.stopped == "answered"
    assert (result.rounds, result.tool_calls_made) == (2, 2)
    assert {(call.tool, call.outcome) for call in result.tool_calls} == {
        ("calculate", "done"),
        ("get_weather", "done"),
    }
    assert result.usage.calls == 2
    assert result.usage.cost_usd > 0
    assert result.model == "simulator-extractive-1"
    assert await roles_of(database, result.thread) == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]


async def test_a_thread_goes_on_with_what_was_said_before(
    client: Client, database: Database, simulator: Simulator
) -> None:
    before, after = runs.token(), runs.token()
    first = await runs.react(client, f"What is 2 + 3? {before}")

    second = await runs.react(client, f"What is 4 + 4? {after}", thread=first.thread)

    assert second.thread == first.thread
    assert "8" in second.answer
    asked = await simulator.calls(after)
    assert all(before in call["body"] for call in asked)
    assert len(await roles_of(database, first.thread)) == 8


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


async def test_an_input_of_megabytes_is_refused_by_the_server(client: Client) -> None:
    with pytest.raises(RPCError) as refused:
        await runs.start(client, "ReActWorkflow", {"task": "x" * 3_000_000})

    assert refused.value.status == RPCStatusCode.INVALID_ARGUMENT


async def test_what_an_input_has_too_much_is_ignored(client: Client) -> None:
    handle = await runs.start(
        client, "ReActWorkflow", {"task": "What is 1 + 1?", "not_known": True}
    )

    result = ReActResult.model_validate(await runs.result_of(handle))

    assert "2" in result.answer


async def test_out_of_rounds_ends_the_run_in_order_and_leaves_a_row(
    client: Client, database: Database
) -> None:
    handle = await runs.start_react(client, "Please simulate 5 rounds.", max_rounds=2)

    result = await runs.result_of(handle)

    assert result.stopped == "max_rounds"
    assert result.answer == OUT_OF_ROUNDS
    assert (result.rounds, result.tool_calls_made, result.usage.calls) == (2, 2, 2)
    async with database.statement() as connection:
        rows = await list_errors(connection, workflow_id=handle.id)
    assert [(row.type, row.message, row.step) for row in rows] == [
        ("max_rounds", OUT_OF_ROUNDS, "log-error")
    ]


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        ({"max_calls": 2}, "2 model calls"),
        ({"max_tokens": 1300}, "max_tokens"),
        ({"max_cost_usd": 0.00001}, "max_cost_usd"),
    ],
    ids=["calls", "tokens", "cost"],
)
async def test_a_budget_ends_the_run_in_order_and_leaves_a_row(
    client: Client, database: Database, budget: dict[str, float], word: str
) -> None:
    handle = await runs.start_react(client, "Please simulate 9 rounds.", max_rounds=9, **budget)

    result = await runs.result_of(handle)

    assert result.stopped == "budget"
    assert word in result.answer
    used = result.usage
    assert used.input_tokens + used.output_tokens <= budget.get("max_tokens", 10**6)
    assert used.cost_usd <= budget.get("max_cost_usd", 1)
    assert used.calls <= budget.get("max_calls", 10)
    async with database.statement() as connection:
        rows = await list_errors(connection, workflow_id=handle.id)
    assert [row.type for row in rows] == ["budget"]


async def test_a_tool_that_needs_approval_is_refused_and_the_agent_learns_why(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    handle = await runs.start_react(client, f"File a ticket: the monitor {word} is broken.")
    result = await runs.result_of(handle)

    assert [call.outcome for call in result.tool_calls] == ["refused"]
    assert "needs the approval of a person" in result.answer
    assert not any("file_ticket" in name for name in await runs.activities_of(handle))
    observed = (await simulator.calls(word))[-1]["body"]
    assert "needs the approval of a person" in observed


async def test_the_tool_calls_of_one_thought_run_side_by_side(
    client: Client, simulator: Simulator
) -> None:
    slow = {"route": "weather", "kind": "latency", "latency_s": 0.4}

    async with simulator.faults("Lisbon", slow), simulator.faults("Madrid", slow):
        handle = await runs.start_react(
            client, "What is the weather in Lisbon and what is the weather in Madrid?"
        )
        result = await runs.result_of(handle)

    assert result.rounds == 2
    assert [call.tool for call in result.tool_calls] == ["get_weather", "get_weather"]
    events = await runs.events_of(handle)
    ids = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    started = {
        ids[event.activity_task_started_event_attributes.scheduled_event_id]: event.event_time
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    }
    ended = {
        ids[event.activity_task_completed_event_attributes.scheduled_event_id]: event.event_time
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    }
    calls = [name for name in started if name.startswith("get_weather")]
    last_start = max(started[name].ToNanoseconds() for name in calls)
    first_end = min(ended[name].ToNanoseconds() for name in calls)
    assert len(calls) == 2
    assert last_start < first_end


@pytest.mark.parametrize(
    ("kind", "says"),
    [("unknown_tool", "there is no tool no_such_tool"), ("bad_arguments", "do not fit")],
)
async def test_a_call_that_cannot_be_run_is_observed_and_the_agent_goes_on(
    client: Client, simulator: Simulator, kind: str, says: str
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": kind}):
        result = await runs.react(client, f"What is 6 * 7? {word}")

    assert "42" in result.answer
    assert [call.outcome for call in result.tool_calls] == ["refused", "done"]
    assert says in (await simulator.calls(word))[1]["body"]


async def test_a_tool_that_fails_for_good_is_an_observation(client: Client) -> None:
    result = await runs.react(client, "What is the weather in Nowherexyz?")

    assert result.tool_calls == (ToolUse(tool="get_weather", about="Nowherexyz", outcome="failed"),)
    assert "knows no city" in result.answer


async def test_a_tool_that_stays_out_of_reach_is_an_observation_after_its_attempts(
    client: Client, simulator: Simulator
) -> None:
    down = {
        "route": "weather",
        "status": 503,
        "times": -1,
        "retry_after": {"form": "ms", "value": 10},
    }

    async with simulator.faults("Helsinki", down):
        handle = await runs.start_react(client, "What is the weather in Helsinki?")
        result = await runs.result_of(handle)

    assert [call.outcome for call in result.tool_calls] == ["failed"]
    assert "503" in result.answer
    assert await runs.attempts_of(handle, "get_weather-1.1") == 5


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


async def test_the_status_tells_the_step_while_the_run_works_and_the_sum_at_its_end(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()
    slow = {"kind": "latency", "latency_s": 0.7}

    async with simulator.faults(word, slow):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await runs.until_step(handle, "think 1")
        during = await runs.status_of(handle)
        result = await runs.result_of(handle)
    after = await runs.status_of(handle)

    assert (during.state, during.steps, during.usage) == ("running", ("open thread",), Usage())
    assert (after.state, after.step, after.error) == ("completed", "", "")
    assert after.steps == ("open thread", "think 1", "calculate 1.1", "observe 1", "think 2")
    assert after.steps_done == 5
    assert after.usage == result.usage


async def test_the_status_of_a_failed_run_tells_why(client: Client) -> None:
    handle = await runs.start_react(client, "Anything.", agent="nobody")
    await runs.failure_of(handle)

    status = await runs.status_of(handle)

    assert status.state == "failed"
    assert "no agent named 'nobody'" in status.error
    assert status.step == ""


async def test_a_run_is_cancelled_while_the_model_thinks(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await runs.until_step(handle, "think 1")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await runs.result_of(handle)
    status = await runs.status_of(handle)

    assert isinstance(ended.value.cause, CancelledError)
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (status.state, status.step) == ("cancelled", "")


async def test_a_run_is_cancelled_while_a_tool_works(client: Client, simulator: Simulator) -> None:
    async with simulator.faults("Vienna", {"route": "weather", "kind": "hang", "times": -1}):
        handle = await runs.start_react(client, "What is the weather in Vienna?")
        await runs.until_step(handle, "get_weather 1.1")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await runs.result_of(handle)

    assert isinstance(ended.value.cause, CancelledError)
    assert (await runs.status_of(handle)).state == "cancelled"


async def test_a_model_that_never_answers_ends_at_the_deadline(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", deadline_s=1)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message
    status = await runs.status_of(handle)
    assert (status.state, status.error) == ("failed", message)


@pytest.mark.parametrize(
    ("signal", "given"), [("nothing_we_know", [{"x": 1}]), ("status", ["?"]), ("?", [None, 7])]
)
async def test_a_signal_nobody_takes_changes_nothing(
    client: Client, simulator: Simulator, signal: str, given: list[object]
) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "latency", "latency_s": 0.4}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}")
        await handle.signal(signal, args=given)
        result = await runs.result_of(handle)

    assert "42" in result.answer
    assert result.rounds == 2


async def test_a_task_of_a_hundred_thousand_characters_is_worked_on(client: Client) -> None:
    task = "What is 6 * 7? " + "Lorem ipsum dolor. " * 5200

    result = await runs.react(client, task)

    assert "42" in result.answer


async def test_characters_that_databases_refuse_do_no_harm(client: Client) -> None:
    handle = await runs.start(client, "ReActWorkflow", {"task": "What is 6 * 7?\x00 Ünï💡 \u2028"})

    result = ReActResult.model_validate(await runs.result_of(handle))

    assert "42" in result.answer


async def test_a_support_agent_files_a_ticket_without_approval(
    client: Client, database: Database
) -> None:
    word = runs.token()
    task = f"My account is A-1001. Please file a ticket: my monitor {word} is broken."

    result = await runs.react(client, task, agent="support")

    assert ("file_ticket", "done") in [(call.tool, call.outcome) for call in result.tool_calls]
    query = text("SELECT count(*) FROM tickets WHERE description LIKE :word")
    async with database.statement() as connection:
        assert await connection.scalar(query, {"word": f"%{word}%"}) == 1
