"""The tools of an agent's run: side by side, refused, failing."""

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.models.react import ToolUse
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")


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
