"""Research from a model that says what it is told to."""

from activities.research import ResearchActivities
from durable_agents.agent.asking import Asker
from durable_agents.agent.prices import Prices
from durable_agents.db import drafts
from durable_agents.db.engine import Database
from durable_agents.db.threads import Step
from durable_agents.models.research import WriteInput
from tests.activities.performing import new_run, perform
from tests.fake_model import MODEL, FakeModel, says


async def test_an_attempt_after_one_that_wrote_tells_what_all_have_used(
    database: Database,
) -> None:
    run, model = new_run(), FakeModel([says(""), says("A report.", tokens=(100, 20))])
    research = ResearchActivities(Asker(model, database, Prices()), database)
    async with database.statement() as connection:
        finding = await drafts.save_draft(connection, Step(run, "f"), kind="finding", content="F.")
    request = WriteInput(query="Why?", drafts=(finding,))

    first = await perform(research.compose_report, request, run=run)
    second = await perform(research.compose_report, request, run=run, attempt=2)

    assert second == first
    assert (second.model, second.usage.calls) == (MODEL, 2)
    assert (second.usage.input_tokens, second.usage.output_tokens) == (110, 25)
    assert len(model.asked) == 2
