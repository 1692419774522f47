"""Which requests whom are shown, in which order, with what was before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from temporalio.client import Client

from durable_agents.db.approval_tables import ApprovalDecision, ApprovalRequest
from durable_agents.db.engine import Database
from durable_agents.models.people import Person
from inbox.approval_store import ApprovalStore
from tests.inbox.browsing import KEY
from tests.workflows.runs import token

NOW = datetime.now(UTC)


@pytest.fixture
def real_store(database: Database, client: Client) -> ApprovalStore:
    return ApprovalStore(database, client, KEY)


@pytest.fixture
def lawyer() -> Person:
    """Somebody with a role that no other test knows."""
    name = token()
    return Person(user_id=1, name=name, roles=(f"{name}s",), created_at=NOW)


async def ask(database: Database, **values: Any) -> int:
    run_id = token()
    given = {
        "workflow_id": run_id,
        "run_id": run_id,
        "step": "wait",
        "digest": run_id,
        "kind": "review",
        "subject": "notice",
        "title": f"Notice {run_id}",
    }
    statement = insert(ApprovalRequest).values(**{**given, **values})
    async with database.statement() as connection:
        return int(await connection.scalar(statement.returning(ApprovalRequest.request_id)) or 0)


async def test_what_waits_is_for_its_reviewer_alone_and_what_closes_first_comes_first(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    role = lawyer.roles[0]
    late = await ask(database, reviewer=role, closes_at=NOW + timedelta(days=2))
    whenever = await ask(database, reviewer=lawyer.name)
    soon = await ask(database, reviewer=role, closes_at=NOW + timedelta(hours=1))
    other = await ask(database, reviewer="somebody else")
    done = await ask(database, reviewer=role, status="approved", decided_at=NOW)

    page = await real_store.waiting(lawyer)

    assert [line.request_id for line in page.lines] == [soon, late, whenever]
    assert page.total == 3
    assert await real_store.find(lawyer, other) is None
    assert [line.request_id for line in await real_store.decided(lawyer)] == [done]


async def test_what_anybody_may_decide_needs_the_role_of_a_reviewer(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    anybody = await ask(database)
    reviewer = lawyer.model_copy(update={"roles": ("reviewer",)})

    assert await real_store.find(lawyer, anybody) is None
    assert await real_store.find(reviewer, anybody) is not None


async def test_what_is_passed_on_is_shown_from_then_on_and_changes_the_mark(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    waits = await ask(database, reviewer="boss", escalate_to=lawyer.name)
    before = await real_store.mark(lawyer), await real_store.find(lawyer, waits)

    passed_on = await ask(database, reviewer="boss", escalate_to=lawyer.name, escalated_at=NOW)

    after = await real_store.mark(lawyer), await real_store.find(lawyer, passed_on)
    assert before[1] is None
    assert after[1] is not None
    assert before[0] != after[0]


async def test_search_takes_signs_as_they_are(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    found = await ask(database, reviewer=lawyer.name, title="100 % sure_of it")
    await ask(database, reviewer=lawyer.name, title="100 times sureXof it")

    for words in ("100 %", "SURE_OF"):
        page = await real_store.waiting(lawyer, search=words)
        assert [line.request_id for line in page.lines] == [found]
    assert (await real_store.waiting(lawyer, search="\x00")).total == 0


async def test_a_request_brings_the_revision_before_and_what_was_tried(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    first = await ask(
        database, reviewer=lawyer.name, content="Old.", status="rejected", feedback="Shorter."
    )
    second = await ask(
        database, reviewer=lawyer.name, content="New.", revision=2, previous_id=first
    )
    async with database.statement() as connection:
        tried = {"request_id": second, "verdict": "approve", "by": "jo", "reason": "Too early."}
        await connection.execute(insert(ApprovalDecision).values(**tried))

    found = await real_store.find(lawyer, second)

    assert found is not None
    assert (found.previous_revision, found.previous_content) == (1, "Old.")
    assert found.previous_feedback == "Shorter."
    assert [(one.by, one.counted, one.reason) for one in found.decisions] == [
        ("jo", False, "Too early.")
    ]


async def test_a_call_has_its_arguments(
    database: Database, real_store: ApprovalStore, lawyer: Person
) -> None:
    arguments = {"b": 1, "a": ["x"]}
    call = await ask(
        database, reviewer=lawyer.name, kind="tool", tool="file_ticket", arguments=arguments
    )

    found = await real_store.find(lawyer, call)

    assert found is not None
    assert (found.tool, found.arguments) == ("file_ticket", arguments)
