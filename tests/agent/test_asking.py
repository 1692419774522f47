"""Asking models for an agent: order of preference, limits, what is recorded."""

import pytest
from sqlalchemy import text

from durable_agents.agent.asking import Asker, CallSite, Question
from durable_agents.agent.budget import Allowance
from durable_agents.agent.definition import AgentDefinition, AgentLimits
from durable_agents.agent.prices import Prices
from durable_agents.db.engine import Database
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    ModelAuthenticationError,
    ModelOutputError,
    ModelUnavailableError,
)
from tests.activities.performing import new_run
from tests.fake_model import MODEL, FakeModel, says

AGENT = AgentDefinition(name="a", instructions="Be good.")
TWO = AgentDefinition(name="two", instructions="Be good.", models=("first", "second"))


def question(**options: object) -> Question:
    messages = [{"role": "user", "content": "Hello"}]
    return Question(messages, lambda answer: "" if answer.text else "Say it.", **options)  # type: ignore[arg-type]


def site(run: str) -> CallSite:
    return CallSite(workflow_id="w", run_id=run, step="think-1", attempt=1, user_id="u")


async def rows(database: Database, run: str) -> list[tuple[str, str, int]]:
    query = text(
        "SELECT model, outcome, input_tokens FROM llm_calls WHERE run_id = :run"
        " ORDER BY llm_call_id"
    )
    async with database.statement() as connection:
        found = await connection.execute(query, {"run": run})
        return [(row[0], row[1], row[2]) for row in found]


async def test_the_configured_model_is_asked_when_an_agent_names_none(
    database: Database,
) -> None:
    model = FakeModel([says("Hi.")])

    asked = await Asker(model, database, Prices()).ask(AGENT, question(), site(new_run()))

    assert asked.answer.text == "Hi."
    assert [request.model for request in model.asked] == [MODEL]
    assert model.asked[0].max_output_tokens == AgentLimits().output_tokens
    assert [record.outcome for record in asked.records] == ["ok"]


async def test_the_next_model_is_asked_when_one_fails_for_good(database: Database) -> None:
    model = FakeModel([ModelAuthenticationError("No."), says("Hi.")])

    asked = await Asker(model, database, Prices()).ask(TWO, question(), site(new_run()))

    assert [request.model for request in model.asked] == ["first", "second"]
    assert [record.outcome for record in asked.records] == ["ModelAuthenticationError", "ok"]
    assert asked.usage.calls == 2


async def test_the_next_model_is_asked_when_one_stays_unusable(database: Database) -> None:
    model = FakeModel([says(""), says(""), says(""), says("Hi.")])

    asked = await Asker(model, database, Prices()).ask(TWO, question(), site(new_run()))

    assert [request.model for request in model.asked] == ["first"] * 3 + ["second"]
    assert asked.usage.calls == 4


async def test_a_transient_failure_is_left_to_the_retry_and_recorded(database: Database) -> None:
    model, run = FakeModel([ModelUnavailableError("Away.")]), new_run()

    with pytest.raises(ModelUnavailableError):
        await Asker(model, database, Prices()).ask(TWO, question(), site(run))

    assert await rows(database, run) == [("first", "ModelUnavailableError", 0)]


async def test_tokens_of_answers_that_are_no_use_are_recorded(database: Database) -> None:
    model, run = FakeModel([says("", tokens=(7, 1))]), new_run()

    with pytest.raises(ModelOutputError, match="Say it"):
        await Asker(model, database, Prices()).ask(AGENT, question(), site(run))

    assert await rows(database, run) == [(MODEL, "ok", 7)] * 3


async def test_an_answer_is_kept_within_what_is_left_of_the_tokens(database: Database) -> None:
    model = FakeModel([says("Hi.")])

    await Asker(model, database, Prices()).ask(
        AGENT, question(allowance=Allowance(max_tokens=200)), site(new_run())
    )

    assert 100 < model.asked[0].max_output_tokens < 200


async def test_an_answer_is_kept_within_what_is_left_of_the_money(database: Database) -> None:
    model = FakeModel([says("Hi.")])
    allowance = Allowance(max_cost_usd=0.0002)  # 100 tokens of output, less the input

    await Asker(model, database, Prices()).ask(
        AGENT, question(allowance=allowance), site(new_run())
    )

    assert 90 < model.asked[0].max_output_tokens < 100


async def test_what_the_first_tries_used_is_gone_for_the_next(database: Database) -> None:
    model = FakeModel([says("", tokens=(100, 80)), says("Hi.")])

    with pytest.raises(BudgetExceededError):
        await Asker(model, database, Prices()).ask(
            AGENT, question(allowance=Allowance(max_tokens=200)), site(new_run())
        )

    assert len(model.asked) == 1


async def test_a_budget_in_money_needs_a_price(database: Database) -> None:
    model = FakeModel([says("Hi.")])

    with pytest.raises(ConfigurationError, match="MODEL_PRICES=first=INPUT/OUTPUT"):
        await Asker(model, database, Prices()).ask(
            TWO, question(allowance=Allowance(max_cost_usd=1)), site(new_run())
        )

    assert model.asked == []
