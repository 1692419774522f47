"""The rounds of an agent with fake steps, on a server that skips what is only waiting."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.call_site import call_site
from durable_agents.agent.asking import Asker
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.prices import Prices
from durable_agents.agent.question import Question
from durable_agents.agent.quotas import Quotas, Spending
from durable_agents.agent.tools import TOOLS
from durable_agents.db.engine import Database
from durable_agents.models.conversation import FailedCall, ThinkInput, Thought, ToolCall
from durable_agents.models.errors import (
    BudgetExceededError,
    DatabaseUnavailableError,
    ModelUnavailableError,
    QuotaWaitError,
    ServiceUnavailableError,
    UnknownAgentError,
)
from tests.fake_model import FakeModel, says
from tests.workflows import runs
from tests.workflows.fakes import FakeSteps, thinks
from workflows.tool_calls import TOOL_CALLS_SHOWN


async def seconds_of(handle: WorkflowHandle[Any, Any]) -> float:
    """How long a run took by its own clock."""
    events = await runs.events_of(handle)
    ended, began = events[-1].event_time, events[0].event_time
    return (ended.ToNanoseconds() - began.ToNanoseconds()) / 1e9


class AskingSteps(FakeSteps):
    """Steps that ask a model, within quotas, and count what it says."""

    asker: Asker

    @activity.defn(name="think")
    async def think(self, request: ThinkInput) -> Thought:
        self.asked.append(request)
        question = Question([{"role": "user", "content": "Hello"}], lambda _: "")
        await self.asker.ask(get_agent(request.agent), question, call_site())
        return thinks()


async def test_a_model_that_stays_away_for_two_minutes_fails_the_run(
    time_skipping: WorkflowEnvironment, database: Database
) -> None:
    client, steps = time_skipping.client, AskingSteps()
    away = FakeModel([ModelUnavailableError("It is away.")])
    steps.asker = Asker(away, database, Prices())
    async with steps.at_work(client):
        handle = await runs.start_react(client, "Anything.")
        kind, message = await runs.failure_of(handle)

    assert (kind, message[:11]) == ("ModelOutageError", "It is away.")
    assert len(away.asked) == 8
    assert 120 < await seconds_of(handle) < 130


async def test_a_run_waits_longer_for_a_quota_than_it_would_for_a_model(
    time_skipping: WorkflowEnvironment, database: Database
) -> None:
    class TenthTurn(Quotas):
        """Sends everyone away but the tenth."""

        asked = 0

        @asynccontextmanager
        async def turn(
            self, quota: str, model: str, estimate: Callable[[], int]
        ) -> AsyncGenerator[Spending]:
            self.asked += 1
            if self.asked < 10:
                wait = timedelta(seconds=90)
                raise QuotaWaitError("Used up.", retry_after=wait, held=False)
            yield Spending()

    client, steps = time_skipping.client, AskingSteps()
    model = FakeModel([says("Hi.")])
    steps.asker = Asker(model, database, Prices(), TenthTurn(database))
    async with steps.at_work(client):
        handle = await runs.start_react(client, "Anything.")
        result = await runs.result_of(handle)

    assert (result.answer, len(model.asked), len(steps.asked)) == ("Done.", 1, 10)
    assert 810 < await seconds_of(handle) < 820


async def test_a_model_that_comes_back_is_asked_in_the_same_round(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    away = ModelUnavailableError("It is away.")
    async with FakeSteps([away, away, thinks()]).at_work(client) as steps:
        result = await runs.react(client, "Anything.")

    assert (result.answer, result.rounds) == ("Done.", 1)
    assert len(steps.asked) == 3


async def test_the_longest_wait_that_a_server_may_ask_for_is_waited(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    away = ModelUnavailableError("Come back later.", retry_after=timedelta(minutes=10))
    async with FakeSteps([away, thinks()]).at_work(client):
        handle = await runs.start_react(client, "Anything.")
        await runs.result_of(handle)

    assert 600 <= await seconds_of(handle) < 610


async def test_a_database_that_stays_away_for_five_minutes_fails_the_run(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    steps = FakeSteps(opening_failure=DatabaseUnavailableError("It is away."))
    async with steps.at_work(client):
        handle = await runs.start_react(client, "Anything.")
        kind, _ = await runs.failure_of(handle)

    assert kind == "DatabaseUnavailableError"
    assert 280 < await seconds_of(handle) < 330


async def test_a_deadline_ends_a_run_that_waits_for_the_next_try(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    async with FakeSteps([ModelUnavailableError("It is away.")]).at_work(client):
        handle = await runs.start_react(client, "Anything.", deadline_s=60)
        kind, message = await runs.failure_of(handle)
        status = await runs.status_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 60 s" in message
    assert 60 <= await seconds_of(handle) < 65
    assert (status.state, status.error) == ("failed", message)


async def test_a_deadline_ends_a_run_whose_tool_never_gets_well(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    steps = FakeSteps([thinks("get_weather")], ServiceUnavailableError("It is away."))
    async with steps.at_work(client):
        handle = await runs.start_react(client, "Anything.", deadline_s=5)
        kind, _ = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert len(steps.called) == 3


async def test_a_tool_that_stays_away_is_an_observation_after_its_attempts(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    steps = FakeSteps([thinks("get_weather")], ServiceUnavailableError("It is away."))
    async with steps.at_work(client):
        result = await runs.react(client, "Anything.")

    assert len(steps.called) == 5
    assert [call.outcome for call in result.tool_calls] == ["failed"]
    told = '<untrusted source="get_weather">\nError: It is away.\n</untrusted>'
    assert steps.observed[0].failed == (FailedCall(index=0, reason=told),)


async def test_a_tool_that_takes_too_long_is_an_observation_after_its_attempts(
    time_skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = time_skipping.client
    hasty = replace(TOOLS["calculate"], timeout=timedelta(seconds=0.2), attempts=2)
    monkeypatch.setitem(TOOLS, "calculate", hasty)  # type: ignore[arg-type]
    steps = FakeSteps([thinks("calculate")], tool_takes=timedelta(seconds=0.5))
    async with steps.at_work(client):
        result = await runs.react(client, "Anything.")

    assert len(steps.called) == 2
    assert result.answer == "Done."
    assert [call.outcome for call in result.tool_calls] == ["failed"]
    assert "timeout" in steps.observed[0].failed[0].reason.lower()


async def test_calls_that_are_refused_are_not_run(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    refused = ToolCall(tool="nothing", digest="", refused=True)
    thought = thinks("calculate").model_copy(
        update={"calls": (refused, ToolCall(tool="calculate", digest="d"))}
    )
    async with FakeSteps([thought]).at_work(client) as steps:
        result = await runs.react(client, "Anything.")

    assert [tool for tool, _ in steps.called] == ["calculate"]
    assert [call.outcome for call in result.tool_calls] == ["refused", "done"]
    assert steps.observed[0].failed == ()
    assert steps.observed[0].calls == 2


async def test_each_occurrence_of_a_call_with_an_effect_has_a_key_of_its_own(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    plan = [
        thinks("file_ticket", "file_ticket"),
        thinks("file_ticket"),
        thinks("file_ticket", digest="d2"),
        thinks("calculate"),
    ]
    async with FakeSteps([*plan]).at_work(client) as steps:
        handle = await runs.start_react(client, "Anything.")
        await runs.result_of(handle)

    chain = handle.first_execution_run_id
    assert sorted(call.key for _, call in steps.called) == [
        "",
        f"{chain}/file_ticket/d1/1",
        f"{chain}/file_ticket/d1/2",
        f"{chain}/file_ticket/d1/3",
        f"{chain}/file_ticket/d2/1",
    ]


async def test_a_call_whose_outcome_stayed_unknown_hands_its_key_to_the_next_that_is_the_same(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    steps = FakeSteps([thinks("file_ticket")] * 3, ServiceUnavailableError("It is away."))
    steps.tool_failures = 5
    async with steps.at_work(client):
        handle = await runs.start_react(client, "Anything.")
        result = await runs.result_of(handle)

    chain = handle.first_execution_run_id
    assert [call.outcome for call in result.tool_calls] == ["failed", "done", "done"]
    assert [call.key for _, call in steps.called] == [
        *[f"{chain}/file_ticket/d1/1"] * 6,
        f"{chain}/file_ticket/d1/2",
    ]


async def test_each_call_is_given_what_is_left_of_the_budget(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    async with FakeSteps([thinks("calculate"), thinks("calculate")]).at_work(client) as steps:
        result = await runs.react(client, "Anything.", max_tokens=1000, max_cost_usd=1)

    assert [asked.max_tokens for asked in steps.asked] == [1000, 880, 760]
    assert [asked.max_cost_usd for asked in steps.asked] == pytest.approx([1, 0.99, 0.98])
    assert (result.usage.input_tokens, result.usage.output_tokens) == (300, 60)
    assert (result.usage.cost_usd, result.usage.calls) == (pytest.approx(0.03), 3)


async def test_a_budget_that_a_call_finds_too_small_ends_the_run_in_order(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    plan = [thinks("calculate"), BudgetExceededError("Too little is left.")]
    async with FakeSteps([*plan]).at_work(client) as steps:
        result = await runs.react(client, "Anything.", max_tokens=1000)

    assert (result.stopped, result.answer) == ("budget", "Too little is left.")
    assert [(error.type, error.message) for error in steps.logged] == [
        ("budget", "Too little is left.")
    ]


async def test_a_final_error_of_the_model_is_not_tried_again(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    async with FakeSteps([UnknownAgentError("Who?")]).at_work(client) as steps:
        handle = await runs.start_react(client, "Anything.")
        kind, _ = await runs.failure_of(handle)

    assert kind == "UnknownAgentError"
    assert len(steps.asked) == 1


async def test_a_result_lists_the_latest_calls_of_many(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    plan = [thinks(*["calculate"] * 16) for _ in range(7)]
    async with FakeSteps([*plan]).at_work(client):
        result = await runs.react(client, "Anything.", max_rounds=10)

    assert result.tool_calls_made == 112
    assert len(result.tool_calls) == TOOL_CALLS_SHOWN
