"""Reading sections while a quota is used up: what is done stays done."""

import pytest
from sqlalchemy import text

from activities.documents import DocumentActivities
from durable_agents.agent.asking import Asker
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.db.engine import Database
from durable_agents.models.analyze_document import ReadSectionsInput
from durable_agents.models.errors import QuotaWaitError
from tests.activities.performing import new_run, perform
from tests.fake_model import FakeModel, says
from tests.workflows.analysing import new_document

SECTIONS = 4
ONE_MORE = text("UPDATE quotas SET level = 1")
FORGET = text("DELETE FROM quotas")


async def test_a_wait_for_a_quota_in_the_middle_redoes_no_section(database: Database) -> None:
    document_id, run = await new_document(database, "It is fine. " * 2700), new_run()
    model = FakeModel([says('{"label": "neutral", "score": 0.1}')])
    quotas = Quotas(database, calls={"default": 0.01})
    activities = DocumentActivities(Asker(model, database, Prices(), quotas), database)
    facts = await perform(activities.get_document, document_id, run=run)
    request = ReadSectionsInput(
        document_id=document_id,
        digest=facts.digest,
        branch="sentiment",
        first=0,
        count=SECTIONS,
        of=facts.sections,
    )

    waits = 0
    for attempt in range(1, SECTIONS + 1):
        try:
            done = await perform(activities.read_sections, request, run=run, attempt=attempt)
        except QuotaWaitError:
            waits += 1
            async with database.statement() as connection:
                await connection.execute(ONE_MORE)
        else:
            break
    else:
        pytest.fail("it was never done")

    async with database.statement() as connection:
        await connection.execute(FORGET)
    assert facts.sections == SECTIONS
    assert (done.read, done.usage.calls) == (SECTIONS, SECTIONS)
    assert waits == SECTIONS - 1
    assert len(model.asked) == SECTIONS
