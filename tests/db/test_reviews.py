"""Reviews: one row for each revision of a run, and how it ended."""

from datetime import UTC, datetime

import pytest

from durable_agents.db import reviews
from durable_agents.db.engine import Database
from durable_agents.models.errors import NotFoundError
from durable_agents.models.review import CloseReviewInput, RequestedReview
from tests.workflows.runs import token

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)


async def request(database: Database, run_id: str, content: str = "A text.") -> RequestedReview:
    async with database.transaction() as connection:
        return await reviews.request_review(
            connection,
            workflow_id="w",
            run_id=run_id,
            task_id="task-1",
            revision=1,
            content=content,
        )


async def test_a_second_delivery_of_a_request_finds_the_first_and_leaves_its_decision(
    database: Database,
) -> None:
    run_id = token()
    first = await request(database, run_id)
    end = CloseReviewInput(review_id=first.review_id, status="rejected", by="A", at=AT)
    async with database.statement() as connection:
        await reviews.close_review(connection, end)

    second = await request(database, run_id)

    async with database.statement() as connection:
        row = await reviews.get_review(connection, first.review_id)
    assert second == first
    assert (row.status, row.decided_by, row.decided_at) == ("rejected", "A", AT)
    assert row.digest == reviews.digest_of("A text.", first.revision) == first.digest


def test_the_same_text_in_another_revision_has_another_digest() -> None:
    first, again = reviews.digest_of("abc", 1), reviews.digest_of("abc", 2)

    assert first != again
    assert reviews.digest_of("abc", 1) == first
    assert len(first) == 16


async def test_a_second_delivery_of_a_decision_writes_the_same(database: Database) -> None:
    asked = await request(database, token())
    end = CloseReviewInput(
        review_id=asked.review_id, status="approved", by="A\x00", feedback="\x00ok", at=AT
    )

    async with database.statement() as connection:
        texts = {await reviews.close_review(connection, end) for _ in range(2)}
        row = await reviews.get_review(connection, asked.review_id)

    assert texts == {"A text."}
    assert (row.status, row.decided_by, row.feedback) == ("approved", "A\ufffd", "\ufffdok")


async def test_a_review_that_is_not_there_is_refused(database: Database) -> None:
    end = CloseReviewInput(review_id=999_999_999, status="expired", at=AT)

    async with database.statement() as connection:
        with pytest.raises(NotFoundError, match="no review 999999999"):
            await reviews.close_review(connection, end)
        with pytest.raises(NotFoundError, match="no review 999999999"):
            await reviews.get_review(connection, 999_999_999)
