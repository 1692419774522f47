"""Text and typed objects from a model that says what it is told to."""

import pytest
from pydantic import BaseModel, Field

from activities.generation import GenerationActivities
from durable_agents.agent.asking import Asker
from durable_agents.agent.catalogue import AGENTS
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.prices import Prices
from durable_agents.clients.completion import ChatAnswer
from durable_agents.db.engine import Database
from durable_agents.db.threads import Step
from durable_agents.db.usage import usage_of_step
from durable_agents.models.conversation import GenerateInput
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    ModelOutputError,
    UnknownAgentError,
)
from tests.activities.performing import new_run, perform
from tests.fake_model import FakeModel, says


class Verdict(BaseModel):
    score: float = Field(ge=0, le=1)


JUDGE = AgentDefinition(name="judge", instructions="Judge.", output_type=Verdict)
ASK = GenerateInput(agent="judge", prompt="How good is it?")


@pytest.fixture(autouse=True)
def _judge(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - autouse
    monkeypatch.setitem(AGENTS, "judge", JUDGE)  # type: ignore[arg-type]


def generation(
    database: Database, *plan: ChatAnswer | Exception
) -> tuple[GenerationActivities, FakeModel]:
    model = FakeModel([*plan])
    return GenerationActivities(Asker(model, database, Prices()), database), model


async def test_a_text_is_given_with_what_it_cost(database: Database) -> None:
    activities, model = generation(database, says(" A coat. "))
    run = new_run()

    request = GenerateInput(agent="weather_advisor", prompt="It rains.")
    done = await perform(activities.generate_text, request, run=run)

    assert done.text == "A coat."
    assert [message["role"] for message in model.asked[0].messages] == ["system", "user"]
    assert model.asked[0].max_output_tokens == 300
    async with database.statement() as connection:
        assert await usage_of_step(connection, Step(run, "step")) == done.usage


async def test_an_agent_may_have_nothing_to_say(database: Database) -> None:
    activities, model = generation(database, says("  "))

    request = GenerateInput(agent="weather_advisor", prompt="It rains.")
    done = await perform(activities.generate_text, request, run=new_run())

    assert done.text == ""
    assert len(model.asked) == 1


async def test_an_object_that_fits_is_given(database: Database) -> None:
    activities, model = generation(database, says('```json\n{"score": 0.5}\n```'))

    done = await perform(activities.generate_object, ASK, run=new_run())

    assert done.value == {"score": 0.5}
    assert model.asked[0].response_format is not None


async def test_an_object_that_does_not_fit_is_asked_for_again_with_the_reason(
    database: Database,
) -> None:
    activities, model = generation(
        database, says("none"), says('{"score": 7}'), says('{"score": 1}')
    )

    done = await perform(activities.generate_object, ASK, run=new_run())

    assert done.value == {"score": 1.0}
    assert done.usage.calls == 3
    told = model.asked[2].messages[-1]["content"]
    assert "score" in told
    assert "less than or equal to 1" in told
    assert len(model.asked[2].messages) == 4


@pytest.mark.parametrize(
    "answer",
    [says("none"), says('{"score": 7}'), says('{"score": 0', cut=True), says("", refusal="No.")],
    ids=["nonsense", "does not fit", "cut", "refused"],
)
async def test_an_object_that_never_fits_is_given_up_after_three_tries(
    database: Database, answer: ChatAnswer
) -> None:
    activities, model = generation(database, answer)
    run = new_run()

    with pytest.raises(ModelOutputError, match="in 3 tries"):
        await perform(activities.generate_object, ASK, run=run)

    assert len(model.asked) == 3
    async with database.statement() as connection:
        assert (await usage_of_step(connection, Step(run, "step"))).calls == 3


async def test_an_agent_without_an_output_type_gives_no_object(database: Database) -> None:
    activities, _ = generation(database, says("x"))

    with pytest.raises(ConfigurationError, match="no output type"):
        await perform(
            activities.generate_object, GenerateInput(agent="assistant", prompt="x"), run=new_run()
        )


async def test_an_unknown_agent_is_refused(database: Database) -> None:
    activities, _ = generation(database, says("x"))

    with pytest.raises(UnknownAgentError):
        await perform(
            activities.generate_text, GenerateInput(agent="nobody", prompt="x"), run=new_run()
        )


async def test_an_allowance_that_is_too_small_is_refused_before_the_call(
    database: Database,
) -> None:
    activities, model = generation(database, says("x"))
    request = GenerateInput(agent="weather_advisor", prompt="It rains.", max_tokens=50)

    with pytest.raises(BudgetExceededError):
        await perform(activities.generate_text, request, run=new_run())

    assert model.asked == []


async def test_what_an_earlier_attempt_used_counts_as_well(database: Database) -> None:
    run = new_run()
    request = GenerateInput(agent="weather_advisor", prompt="It rains.")
    for attempt in (1, 2):
        activities, _ = generation(database, says("A coat.", tokens=(100, 20)))
        done = await perform(activities.generate_text, request, run=run, attempt=attempt)

    assert (done.usage.calls, done.usage.input_tokens) == (2, 200)
