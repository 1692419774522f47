"""Input, result and rows of `ReviewWorkflow`."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.status import Usage

DAY_S = 24 * 3600

ReviewEnd = Literal["approved", "rejected", "expired"]
ReviewStatus = Literal["pending_review", "approved", "rejected", "expired", "withdrawn"]


class ReviewInput(Record):
    """A task whose result a person has to approve.

    After a rejection the text is revised, at most `max_revisions` times; each revision is
    reviewed. `decision_deadline_s` (seconds) bounds each wait for a decision, `deadline_s` the
    whole run.
    """

    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    max_revisions: int = Field(default=3, ge=0, le=100)
    decision_deadline_s: Deadline = 3 * DAY_S
    user_id: str = ""
    deadline_s: Deadline = 30 * DAY_S


class ReviewResult(Record):
    """How the review ended.

    `result` is the approved text; otherwise a sentence about why there is none. `revision`
    counts from 1; `review_id` and `digest` name the last one that was reviewed.
    """

    task_id: str
    status: ReviewEnd
    result: str
    revision: int = 1
    review_id: int = 0
    digest: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    feedback: str = ""
    model: str = ""
    usage: Usage = Usage()


class RequestReviewInput(Record):
    """Ask for a decision on a draft."""

    task_id: str
    revision: int
    draft_id: int


class RequestedReview(Record):
    """The row that asks for a decision, and the digest that the decision is bound to."""

    review_id: int
    task_id: str
    revision: int
    digest: str


class CloseReviewInput(Record):
    """How a review ended: its status, who decided, when, and why; also why nobody did."""

    review_id: int
    status: ReviewStatus
    by: str = ""
    feedback: str = ""
    at: datetime
