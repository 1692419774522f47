"""Touches the reviews: asks for decisions and writes them down."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.db import drafts, reviews, tasks
from durable_agents.db.engine import Database
from durable_agents.models.drafts import SavedText, told
from durable_agents.models.review import CloseReviewInput, RequestedReview, RequestReviewInput


class ReviewActivities:
    """Mutations; each closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="request_review")
    async def request_review(self, request: RequestReviewInput) -> RequestedReview:
        """Ask for a person's decision on a draft.

        Raises:
            NotFoundError: There is no such draft.
        """
        async with self._database.transaction() as connection:
            draft = await drafts.get_draft(connection, request.draft_id)
            return await reviews.request_review(
                connection,
                workflow_id=activity.info().workflow_id or "",
                run_id=step_of().run_id,
                task_id=request.task_id,
                revision=request.revision,
                content=draft.content,
            )

    @activity.defn(name="save_approved")
    async def save_approved(self, end: CloseReviewInput) -> SavedText:
        """Save an approved text as what came of its task, with who approved it and when.

        Raises:
            NotFoundError: The review or the task is not there.
        """
        async with self._database.transaction() as connection:
            content = await reviews.close_review(connection, end)
            review = await reviews.get_review(connection, end.review_id)
            await tasks.save_result(connection, task_id=review.task_id, result=content)
        return SavedText(text=told(content))

    @activity.defn(name="close_review")
    async def close_review(self, end: CloseReviewInput) -> None:
        """Write down that a text was rejected, that nobody decided, or that nobody shall.

        Raises:
            NotFoundError: There is no such review.
        """
        async with self._database.statement() as connection:
            await reviews.close_review(connection, end)
