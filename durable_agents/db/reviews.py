"""Reviews: requests for a person's decision on one revision of a text, and the decisions."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Review
from durable_agents.models.approval import DIGEST_DIGITS
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError
from durable_agents.models.review import CloseReviewInput, RequestedReview, ReviewStatus


class ReviewRecord(Record):
    """A review as the database holds it."""

    review_id: int
    workflow_id: str
    run_id: str
    task_id: str
    revision: int
    content: str
    digest: str
    status: ReviewStatus
    decided_by: str
    feedback: str
    created_at: datetime
    decided_at: datetime | None


class OpenReview(Record):
    """A review that waits, and the run that requested it."""

    review_id: int
    workflow_id: str
    run_id: str


def digest_of(content: str, revision: int) -> str:
    """What a decision is bound to: this revision and its text.

    The beginning of the SHA-256 of both, in hexadecimal, so that a text that comes back unchanged
    is still another revision.
    """
    return hashlib.sha256(f"{revision}\n{content}".encode()).hexdigest()[:DIGEST_DIGITS]


async def request_review(
    connection: AsyncConnection,
    *,
    workflow_id: str,
    run_id: str,
    task_id: str,
    revision: int,
    content: str,
) -> RequestedReview:
    """Ask for a decision on a text, once for each revision of a run.

    A second delivery changes nothing, whatever has been decided since.
    """
    key = {"run_id": run_id, "revision": revision}
    values = {"workflow_id": workflow_id, "task_id": task_id, "content": content}
    await connection.execute(
        insert(Review)
        .values(**key, **values, digest=digest_of(content, revision))
        .on_conflict_do_nothing(index_elements=["run_id", "revision"])
    )
    query = select(Review.review_id, Review.digest).filter_by(**key)
    row = (await connection.execute(query)).one()
    return RequestedReview(
        review_id=row.review_id, task_id=task_id, revision=revision, digest=row.digest
    )


async def get_review(connection: AsyncConnection, review_id: int) -> ReviewRecord:
    """Read a review.

    Raises:
        NotFoundError: There is none of this id.
    """
    query = select(Review).where(Review.review_id == review_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _no_review(review_id)
    return ReviewRecord.model_validate(dict(row))


async def open_reviews(
    connection: AsyncConnection, *, older_than: timedelta, after: int, limit: int
) -> list[OpenReview]:
    """Reviews that nobody has decided and that were requested a while ago, by their ids.

    For a reconciler, which asks Temporal about the runs. The time is that of the database's
    clock; `after` is the last id that was looked at, 0 for none.
    """
    query = (
        select(Review.review_id, Review.workflow_id, Review.run_id)
        .where(
            Review.status == "pending_review",
            Review.created_at <= func.now() - older_than,
            Review.review_id > after,
        )
        .order_by(Review.review_id)
        .limit(limit)
    )
    found = (await connection.execute(query)).mappings()
    return [OpenReview.model_validate(dict(row)) for row in found]


async def withdraw(connection: AsyncConnection, *, review_id: int, reason: str) -> bool:
    """End a review whose run could not do so itself.

    Returns:
        Whether it was still open; another is left as it is.
    """
    withdrawn = await connection.execute(
        update(Review)
        .where(Review.review_id == review_id, Review.status == "pending_review")
        .values(status="withdrawn", feedback=reason, decided_at=func.now())
    )
    return withdrawn.rowcount == 1


async def close_review(connection: AsyncConnection, end: CloseReviewInput) -> str:
    """Write down how a review ended: who decided what, when and why.

    The row follows the run, which decides once; a second delivery writes the same again.

    Returns:
        The text that was reviewed.

    Raises:
        NotFoundError: There is no such review.
    """
    statement = (
        update(Review)
        .where(Review.review_id == end.review_id)
        .values(
            status=end.status,
            decided_by=end.by,
            feedback=end.feedback,
            decided_at=end.at,
        )
        .returning(Review.content)
    )
    content = await connection.scalar(statement)
    if content is None:
        raise _no_review(end.review_id)
    return str(content)


def _no_review(review_id: int) -> NotFoundError:
    return NotFoundError(f"There is no review {review_id}. Check the id, or start the run again.")
