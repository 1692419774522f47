"""Asking models for an agent: order of preference, limits, what is recorded."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import text

from durable_agents.agent.asking import Asker
from durable_agents.agent.budget import Allowance
from durable_agents.agent.definition import AgentDefinition, AgentLimits
from durable_agents.agent.prices import Prices
from durable_agents.agent.question import Question
from durable_agents.agent.quotas import Quotas, Spending, draw_of_tokens
from durable_agents.agent.sites import CallSite
from durable_agents.db.engine import Database
from durable_agents.db.usage import record_call
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    ModelAuthenticationError,
    ModelOutageError,
    ModelOutputError,
    ModelUnavailableError,
    QuotaWaitError,
)
from tests.activities.performing import new_run
from tests.fake_model import MODEL, FakeModel, says

AGENT = AgentDefinition(name="a", instructions="Be good.")
TWO = AgentDefinition(name="two", instructions="Be good.", models=("first", "second"))


def question(**options: object) -> Question:
    messages = [{"role": "user", "content": "Hello"}]
    return Question(messages, lambda answer: "" if answer.text else "Say it.", **options)  # type: ignore[arg-type]


def site(run: str, attempt: int = 1) -> CallSite:
    return CallSite(workflow_id="w", run_id=run, step="think-1", attempt=attempt, user_id="u")


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

    with pytest.raises(BudgetExceededError) as refused:
        await Asker(model, database, Prices()).ask(
            AGENT, question(allowance=Allowance(max_tokens=200)), site(new_run())
        )

    assert len(model.asked) == 1
    used = refused.value.usage  # the run has paid for it
    assert (used.input_tokens, used.output_tokens, used.calls) == (100, 80, 1)


async def test_a_step_that_fails_for_good_tells_what_all_its_attempts_used(
    database: Database,
) -> None:
    model, run = FakeModel([says("", tokens=(7, 1))]), new_run()

    for attempt in (1, 2):
        with pytest.raises(ModelOutputError) as failed:
            await Asker(model, database, Prices()).ask(AGENT, question(), site(run, attempt))

    used = failed.value.usage
    assert (used.input_tokens, used.output_tokens, used.calls) == (42, 6, 6)


async def test_a_budget_in_money_needs_a_price(database: Database) -> None:
    model = FakeModel([says("Hi.")])

    with pytest.raises(ConfigurationError, match="MODEL_PRICES=first=INPUT/OUTPUT"):
        await Asker(model, database, Prices()).ask(
            TWO, question(allowance=Allowance(max_cost_usd=1)), site(new_run())
        )

    assert model.asked == []


class OwnTurns(Quotas):
    """Lets nobody ask some models, in the words of a provider or of a limit of ours."""

    def __init__(self, database: Database, *models: str, held: bool) -> None:
        super().__init__(database)
        self._used_up = models
        self._held = held

    @asynccontextmanager
    async def turn(
        self, quota: str, model: str, estimate: Callable[[], int]
    ) -> AsyncGenerator[Spending]:
        if model in self._used_up:
            raise QuotaWaitError("Later.", retry_after=timedelta(seconds=9), held=self._held)
        yield Spending()


async def test_waits_for_a_quota_count_neither_as_failures_nor_as_calls(
    database: Database,
) -> None:
    model, run = FakeModel([ModelUnavailableError("Away.")]), new_run()
    waiting = Asker(model, database, Prices(), OwnTurns(database, "first", held=False))
    asking = Asker(model, database, Prices())

    for attempt in range(1, 30):
        with pytest.raises(QuotaWaitError):
            await waiting.ask(TWO, question(), site(run, attempt))
    with pytest.raises(ModelUnavailableError) as raised:
        await asking.ask(TWO, question(), site(run, 30))

    assert [request.model for request in model.asked] == ["first"]
    assert raised.value.retry_after == timedelta(seconds=1)  # it is the first failure
    assert await rows(database, run) == [("first", "ModelUnavailableError", 0)]


async def test_the_eighth_failure_in_a_row_is_the_last(database: Database) -> None:
    model, run = FakeModel([ModelUnavailableError("Away.")]), new_run()
    asker = Asker(model, database, Prices())

    delays: list[timedelta | None] = []
    for attempt in range(11, 18):  # ten waits for a quota came before
        with pytest.raises(ModelUnavailableError) as raised:
            await asker.ask(AGENT, question(), site(run, attempt))
        delays.append(raised.value.retry_after)
    with pytest.raises(ModelOutageError, match=r"Away\. That was the failure number 8 in a row"):
        await asker.ask(AGENT, question(), site(run, 18))

    assert delays == [timedelta(seconds=s) for s in (1, 2, 4, 8, 16, 32, 60)]


async def test_an_answer_begins_the_count_of_failures_anew(database: Database) -> None:
    run = new_run()
    away = Asker(FakeModel([ModelUnavailableError("Away.")]), database, Prices())
    well = Asker(FakeModel([says("Hi.")]), database, Prices())

    for attempt in range(1, 8):
        with pytest.raises(ModelUnavailableError):
            await away.ask(AGENT, question(), site(run, attempt))
    asked = await well.ask(AGENT, question(), site(run, 8))
    async with database.transaction() as connection:
        for record in asked.records:
            await record_call(connection, record)

    with pytest.raises(ModelUnavailableError):
        await away.ask(AGENT, question(), site(run, 9))


async def test_a_limit_of_ours_is_waited_for_although_there_is_another_model(
    database: Database,
) -> None:
    model = FakeModel([says("Hi.")])
    asker = Asker(model, database, Prices(), OwnTurns(database, "first", held=False))

    with pytest.raises(QuotaWaitError):
        await asker.ask(TWO, question(), site(new_run(), attempt=5))

    assert model.asked == []


async def test_a_provider_that_keeps_everyone_waiting_is_left_for_another(
    database: Database,
) -> None:
    model = FakeModel([says("Hi.")])
    asker = Asker(model, database, Prices(), OwnTurns(database, "first", held=True))

    with pytest.raises(QuotaWaitError):
        await asker.ask(TWO, question(), site(new_run(), attempt=2))
    await asker.ask(TWO, question(), site(new_run(), attempt=3))

    assert [request.model for request in model.asked] == ["second"]


async def test_a_call_takes_what_goes_in_and_its_longest_answer_and_settles_what_it_used(
    database: Database,
) -> None:
    agent = AgentDefinition(name="a", instructions="", models=(f"m-{new_run()}",))
    model, took = FakeModel([says("Hi.", tokens=(100, 11))]), list[int]()
    watch = Taken(took)
    quotas = Quotas(database, tokens={agent.models[0]: 600_000}, watch=watch)

    await Asker(model, database, Prices(), quotas).ask(agent, question(), site(new_run()))

    draw = draw_of_tokens(agent.models[0], 0.001, 0)
    async with database.statement() as connection:
        row = text("DELETE FROM quotas WHERE quota = :quota RETURNING level")
        left = await connection.scalar(row, {"quota": draw.quota})
    assert 2048 < took[0] < 2080
    assert left == 60_000 - 111


async def test_a_call_takes_less_once_it_is_known_how_long_answers_are(
    database: Database,
) -> None:
    agent = AgentDefinition(name="a", instructions="", models=(f"m-{new_run()}",))
    model, took = FakeModel([says("Hi.", tokens=(100, 20))] * 2), list[int]()
    quotas = Quotas(database, tokens={agent.models[0]: 600_000}, watch=Taken(took))
    asker = Asker(model, database, Prices(), quotas)

    for _ in range(2):
        await asker.ask(agent, question(), site(new_run()))

    async with database.statement() as connection:
        row = text("DELETE FROM quotas WHERE quota = :quota")
        await connection.execute(row, {"quota": f"model/{agent.models[0]}"})
    assert took[0] > 2048
    assert 40 < took[1] < 80  # twice the one answer that was seen, and what goes in


@dataclass
class Taken:
    """Keeps how many tokens calls took."""

    tokens: list[int]

    def waited(self, quota: str, seconds: float) -> None:
        raise AssertionError(quota)

    def sent_away(self, quota: str, seconds: float) -> None:
        raise AssertionError(quota)

    def reserved(self, model: str, tokens: int) -> None:
        self.tokens.append(tokens)
