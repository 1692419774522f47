"""Requests as the reviews of `ReviewWorkflow` are: read from its table, decided by its update."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Review
from durable_agents.db.tables import Task
from durable_agents.db.threads import storable
from durable_agents.models.approval import Decision, TakenDecision
from durable_agents.models.errors import ServiceUnavailableError
from durable_agents.models.people import Person
from inbox.requests import Answer, RequestLine, RequestPage, ShownRequest, Submission

ANSWER_S = 10
NOBODY = (
    "No worker answers just now. Your decision may arrive or not: look at this page again in a "
    "minute, and repeat it if it still waits."
)
_STATUS = {"pending_review": "pending"}


class ReviewStore:
    """The reviews that wait; anybody with the role `reviewer` may decide on each.

    Args:
        database: Where they are.
        client: How decisions reach their runs.
    """

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client

    async def waiting(
        self, person: Person, *, search: str = "", offset: int = 0, limit: int = 50
    ) -> RequestPage:
        """What waits, the oldest first."""
        if not person.is_meant_by(""):
            return RequestPage()
        which: list[ColumnElement[bool]] = [Review.status == "pending_review"]
        if search:
            texts = (Task.title, Review.task_id, Review.workflow_id)
            which.append(
                or_(*(text.icontains(storable(search), autoescape=True) for text in texts))
            )
        listed = _lines().where(*which).order_by(Review.review_id).offset(offset).limit(limit)
        counted = select(func.count()).select_from(listed.offset(None).limit(None).subquery())
        async with self._database.statement() as connection:
            rows = (await connection.execute(listed)).mappings().all()
            total = await connection.scalar(counted)
        return RequestPage(lines=tuple(_line_of(dict(row)) for row in rows), total=total or 0)

    async def mark(self, person: Person) -> str:
        """How many wait, and which is the latest."""
        if not person.is_meant_by(""):
            return "0"
        query = select(func.count(), func.max(Review.review_id)).where(
            Review.status == "pending_review"
        )
        async with self._database.statement() as connection:
            count, latest = (await connection.execute(query)).one()
        return f"{count}-{latest or 0}"

    async def find(self, person: Person, request_id: int) -> ShownRequest | None:
        """One review, with the revision before it."""
        if not person.is_meant_by(""):
            return None
        query = _lines().add_columns(Review.content).where(Review.review_id == request_id)
        async with self._database.statement() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                return None
            earlier = (
                select(Review.revision, Review.content, Review.feedback)
                .where(Review.run_id == row["run_id"], Review.revision < row["revision"])
                .order_by(Review.revision.desc())
            )
            before = (await connection.execute(earlier.limit(1))).one_or_none()
        values = {**_line_of(dict(row)).model_dump(), **_extra_of(dict(row)), "editable": False}
        if before is not None:
            values["previous_revision"] = before.revision
            values["previous_content"] = before.content
            values["previous_feedback"] = before.feedback
        return ShownRequest.model_validate(values)

    async def decided(self, person: Person, *, limit: int = 100) -> Sequence[RequestLine]:
        """What is decided, the latest first."""
        if not person.is_meant_by(""):
            return []
        query = _lines().where(Review.status != "pending_review")
        query = query.order_by(Review.decided_at.desc().nulls_last()).limit(limit)
        async with self._database.statement() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_line_of(dict(row)) for row in rows]

    async def decide(self, person: Person, request: ShownRequest, made: Submission) -> Answer:
        """Send a decision to its run.

        Raises:
            ServiceUnavailableError: Nobody answers.
        """
        if made.verdict == "edit":
            return Answer(counted=False, sentence="A text of this kind cannot be edited here.")
        decision = Decision(
            verdict=made.verdict, digest=made.digest, by=person.name, feedback=made.feedback
        )
        handle = self._client.get_workflow_handle(request.workflow_id)
        try:
            async with asyncio.timeout(ANSWER_S):
                await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
                    "submit_decision", decision, result_type=TakenDecision
                )
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            said = cause.message if isinstance(cause, ApplicationError) else str(error)
            return Answer(counted=False, sentence=said)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise ServiceUnavailableError(NOBODY) from error
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return Answer(counted=False, sentence="Its run has ended; it takes no decision.")
            raise ServiceUnavailableError(NOBODY) from error
        return Answer(counted=True)


def _lines() -> Select[tuple[int, str, str, str, int, str, str]]:
    columns = (
        Review.review_id,
        Review.workflow_id,
        Review.run_id,
        Review.task_id,
        Review.revision,
        Review.digest,
        Review.status,
    )
    more = (Review.decided_by, Review.feedback, Review.created_at, Review.decided_at)
    joined = select(*columns).outerjoin(Task, Task.task_id == Review.task_id)
    return joined.add_columns(*more, Task.title, Task.user_id)


def _line_of(row: dict[str, object]) -> RequestLine:
    return RequestLine.model_validate(
        {
            "request_id": row["review_id"],
            "title": row["title"] or row["task_id"],
            "subject": row["task_id"],
            "consequences": "The text is saved as the task's result.",
            "asked_by": row["user_id"] or "",
            "revision": row["revision"],
            "status": _STATUS.get(str(row["status"]), row["status"]),
            "created_at": row["created_at"],
            "decided_by": row["decided_by"],
            "decided_at": row["decided_at"],
        }
    )


def _extra_of(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("workflow_id", "run_id", "digest", "content", "feedback")}
