"""Requests for decisions: one row for each content of a run, and how it ended."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import migrate
from durable_agents.db.approval_lists import (
    decided_before,
    decisions_on,
    digest_held,
    get_request,
)
from durable_agents.db.approvals import (
    Subject,
    add_request,
    digest_of,
    edit_of,
    record_refusal,
    save_edit,
    settle_request,
)
from durable_agents.db.engine import Database
from durable_agents.models.approval import (
    RequestApprovalInput,
    RequestedApproval,
    SettleRequestInput,
    TriedDecision,
)
from durable_agents.models.errors import NotFoundError
from tests.db.databases import created_database
from tests.workflows.runs import token

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)
TRIED = TriedDecision(verdict="approve", by="A", at=AT, number=1, counted=True)


async def request(
    connection: AsyncConnection, run_id: str, content: str = "A text.", **values: Any
) -> RequestedApproval:
    asked = RequestApprovalInput.model_validate({"step": "review-1", "kind": "review", **values})
    subject = Subject(title="Text", content=content)
    return await add_request(connection, asked, subject, workflow_id="w", run_id=run_id)


def approval(request_id: int, **values: Any) -> SettleRequestInput:
    given = {"request_id": request_id, "status": "approved", "by": "A", "at": AT, "tries": (TRIED,)}
    return SettleRequestInput.model_validate({**given, **values})


async def test_a_second_delivery_of_a_request_finds_the_first_and_leaves_its_decision(
    database: Database,
) -> None:
    run_id = token()
    async with database.transaction() as connection:
        first = await request(connection, run_id)
        await settle_request(connection, approval(first.request_id))

        second = await request(connection, run_id)

        row = await get_request(connection, first.request_id)
    assert second == first
    assert (row.status, row.decided_by, row.decided_at) == ("approved", "A", AT)


def test_run_step_revision_and_content_each_make_another_digest() -> None:
    made_of = [
        ("r", "s", 1, "c"),
        ("q", "s", 1, "c"),
        ("r", "t", 1, "c"),
        ("r", "s", 2, "c"),
        ("r", "s", 1, "d"),
        ("rs", "", 1, "c"),
    ]

    digests = {
        digest_of(run_id=run_id, step=step, revision=revision, content=content)
        for run_id, step, revision, content in made_of
    }

    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {16}


async def test_a_second_delivery_of_a_decision_writes_the_same(database: Database) -> None:
    async with database.transaction() as connection:
        asked = await request(connection, token())
        end = approval(asked.request_id, by="A\x00", feedback="\x00ok")

        for _ in range(2):
            await settle_request(connection, end)

        row = await get_request(connection, asked.request_id)
        tries = await decisions_on(connection, asked.request_id)
    assert (row.decided_by, row.feedback) == ("A\ufffd", "\ufffdok")
    assert [(one.by, one.counted) for one in tries] == [("A", True)]


async def test_what_was_decided_is_not_withdrawn_any_more(database: Database) -> None:
    async with database.transaction() as connection:
        asked = await request(connection, token())
        await settle_request(connection, approval(asked.request_id))

        await settle_request(
            connection, approval(asked.request_id, status="withdrawn", by="", tries=())
        )

        row = await get_request(connection, asked.request_id)
    assert (row.status, row.decided_by) == ("approved", "A")


async def test_a_request_that_is_not_there_is_refused(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(NotFoundError, match="no request 999999999"):
            await settle_request(connection, approval(999_999_999))
        with pytest.raises(NotFoundError, match="no request 999999999"):
            await get_request(connection, 999_999_999)


async def test_arguments_have_the_same_digest_after_they_were_kept(database: Database) -> None:
    arguments = {"b": [1.0, 1e22, 1.5e16, -0.0, 1e-7, 2**70, "a\x00b"], "a": {"é": None}}
    asked = RequestApprovalInput(step="t-1", kind="tool")
    subject = Subject(title="t", tool="t", arguments=arguments)
    run_id = token()
    async with database.transaction() as connection:
        added = await add_request(connection, asked, subject, workflow_id="w", run_id=run_id)

        row = await get_request(connection, added.request_id)

    assert digest_held(row) == row.digest == added.digest


async def test_an_edit_belongs_to_its_request(database: Database) -> None:
    async with database.transaction() as connection:
        mine, other = await request(connection, token()), await request(connection, token())
        edit = await save_edit(connection, mine.request_id, "Mine.")

        again = await save_edit(connection, mine.request_id, "Mine.")

        assert again == edit
        assert await edit_of(connection, mine.request_id, "", edit) == "Mine."
        with pytest.raises(NotFoundError, match="no edit"):
            await edit_of(connection, other.request_id, "", edit)


async def test_the_decision_on_the_same_content_before_a_reset_is_found(
    database: Database,
) -> None:
    content = token()
    async with database.transaction() as connection:
        before = await request(connection, token(), content)
        await settle_request(connection, approval(before.request_id))
        again = await request(connection, token(), content)
        other = await request(connection, token(), f"{content}, changed")

        found = await decided_before(connection, await get_request(connection, again.request_id))
        none = await decided_before(connection, await get_request(connection, other.request_id))

    assert again.digest != before.digest
    assert found is not None
    assert found.request_id == before.request_id
    assert none is None


async def test_a_refusal_that_the_sender_wrote_down_has_its_reason(database: Database) -> None:
    async with database.transaction() as connection:
        asked = await request(connection, token())
        refused: dict[str, Any] = {"verdict": "approve", "by": "A", "verified": True, "via": "page"}

        await record_refusal(connection, asked.request_id, **refused, reason="Too late.")

        (tried,) = await decisions_on(connection, asked.request_id)
    assert (tried.counted, tried.reason, tried.verified) == (False, "Too late.", True)


async def test_reviews_of_the_release_before_are_moved_with_their_decisions(
    database_url: str,
) -> None:
    with created_database(database_url) as url:
        await migrate.upgrade(url)
        opened = Database(url)
        try:
            async with opened.transaction() as connection:
                await connection.run_sync(_downgrade)
                await connection.execute(text(_REVIEWS))
            await migrate.upgrade(url)
            async with opened.transaction() as connection:
                first, second = [await get_request(connection, number) for number in (7, 8)]
                (tried,) = await decisions_on(connection, 7)
                new = await request(connection, token())
        finally:
            await opened.close()

    assert (first.status, first.decided_by, first.feedback) == ("rejected", "Ann", "Shorter.")
    assert (second.status, second.previous_id, second.content) == ("pending", 7, "Two")
    assert (second.digest, second.step, second.revision) == ("d2", "review-2", 2)
    assert (tried.verdict, tried.by, tried.counted) == ("reject", "Ann", True)
    assert new.request_id == 9


_REVIEWS = """
    INSERT INTO reviews (review_id, workflow_id, run_id, task_id, revision, content, digest,
                         status, decided_by, feedback, decided_at)
    OVERRIDING SYSTEM VALUE VALUES
        (7, 'w', 'r', 'task-1', 1, 'One', 'd1', 'rejected', 'Ann', 'Shorter.', now()),
        (8, 'w', 'r', 'task-1', 2, 'Two', 'd2', 'pending_review', '', '', NULL)
"""


def _downgrade(connection: Any) -> None:
    from alembic import command

    command.downgrade(migrate.config(connection), "0004")
