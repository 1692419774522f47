"""The list of models of every agent, with real servers and the simulator as the model."""

import pytest
from temporalio.client import Client

from durable_agents.agent import catalogue
from durable_agents.agent.definition import AgentDefinition
from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.model_calls import calls_of

pytestmark = pytest.mark.usefixtures("worker")

MODEL = "simulator-extractive-1"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> AgentDefinition:
    """An agent with a list of models, of which the server does not know the first."""
    agent = AgentDefinition(
        name=runs.token(), instructions="Answer.", models=("no-such-model", MODEL, "never-asked")
    )
    monkeypatch.setitem(catalogue.AGENTS, agent.name, agent)
    return agent


async def test_any_agent_asks_its_next_model_when_one_fails_for_good(
    client: Client, database: Database, listed: AgentDefinition
) -> None:
    handle = await runs.start_react(client, "What is 6 * 7?", agent=listed.name)
    result = await runs.result_of(handle)

    assert (result.stopped, result.model) == ("answered", MODEL)
    assert await calls_of(database, handle) == [
        ("think-1", listed.name, "no-such-model", "ModelRequestError"),
        ("think-1", listed.name, MODEL, "ok"),
    ]
    assert result.usage.calls == 2
    assert await runs.attempts_of(handle, "think-1") == 1


async def test_any_agent_asks_its_next_model_when_answers_stay_unusable(
    client: Client,
    database: Database,
    simulator: Simulator,
    listed: AgentDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = runs.token()
    twice = AgentDefinition(listed.name, "Answer.", models=(MODEL, MODEL))
    monkeypatch.setitem(catalogue.AGENTS, listed.name, twice)

    async with simulator.faults(word, {"kind": "empty", "times": 3}):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", agent=listed.name)
        result = await runs.result_of(handle)

    assert result.stopped == "answered"
    assert [call[3] for call in await calls_of(database, handle)] == ["ok"] * 4
    assert result.usage.calls == 4


async def test_a_passing_failure_waits_for_the_model_that_is_preferred(
    client: Client,
    database: Database,
    simulator: Simulator,
    listed: AgentDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = runs.token()
    other = AgentDefinition(listed.name, "Answer.", models=(MODEL, "never-asked"))
    monkeypatch.setitem(catalogue.AGENTS, listed.name, other)
    busy = {"status": 429, "retry_after": {"form": "ms", "value": 10}}

    async with simulator.faults(word, busy):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", agent=listed.name)
        result = await runs.result_of(handle)

    assert result.model == MODEL
    assert [call[2:] for call in await calls_of(database, handle)] == [
        (MODEL, "ModelUnavailableError"),
        (MODEL, "ok"),
    ]


async def test_a_model_that_stays_out_of_reach_gives_its_place_to_the_next(
    client: Client,
    database: Database,
    simulator: Simulator,
    listed: AgentDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = runs.token()
    twice = AgentDefinition(listed.name, "Answer.", models=(MODEL, MODEL))
    monkeypatch.setitem(catalogue.AGENTS, listed.name, twice)
    down = {"status": 503, "times": 3, "retry_after": {"form": "ms", "value": 10}}

    async with simulator.faults(word, down):
        handle = await runs.start_react(client, f"What is 6 * 7? {word}", agent=listed.name)
        result = await runs.result_of(handle)

    assert result.stopped == "answered"
    outcomes = [call[3] for call in await calls_of(database, handle)]
    assert outcomes == ["ModelUnavailableError"] * 3 + ["ok"]
    assert await runs.attempts_of(handle, "think-1") == 3


async def test_when_every_model_fails_the_error_names_each_with_its_reason(
    client: Client, database: Database, listed: AgentDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = AgentDefinition(listed.name, "Answer.", models=("model-a", "model-b"))
    monkeypatch.setitem(catalogue.AGENTS, listed.name, none)

    handle = await runs.start_react(client, "What is 6 * 7?", agent=listed.name)
    kind, message = await runs.failure_of(handle)

    assert kind == "ModelRequestError"
    assert "'model-a' does not exist" in message
    assert "'model-b' does not exist" in message
    assert [call[2] for call in await calls_of(database, handle)] == ["model-a", "model-b"]
