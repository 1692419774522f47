"""Input, result and rows of `ReviewWorkflow`."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from durable_agents.models.approval import DAY_S, ApprovalOptions
from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import MOST_REVISIONS, REVISIONS
from durable_agents.models.status import Usage

ReviewEnd = Literal["approved", "rejected", "expired"]


class ReviewInput(Record):
    """A task whose result a person has to approve.

    After a rejection the text is revised, at most `max_revisions` times; each revision is
    reviewed. `deadline_s` (seconds) bounds the time at work; while the run waits for a person that
    time rests, and each wait is bounded by `decision_deadline_s` (seconds) instead. `asked_by` is
    who starts it, the user it works for when left out; `approval` says how the decisions are to be
    made.
    """

    task_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    max_revisions: int = Field(default=REVISIONS, ge=0, le=MOST_REVISIONS)
    decision_deadline_s: Deadline = 3 * DAY_S
    user_id: str = ""
    deadline_s: Deadline = 30 * DAY_S
    asked_by: str = ""
    approval: ApprovalOptions = ApprovalOptions()


class ReviewResult(Record):
    """How the review ended.

    `result` is the approved text; otherwise a sentence about why there is none. `revision`
    counts from 1; `review_id` and `digest` name the request on the last one. `verified` says
    whether the decision was signed, `edited` whether a person changed the text before it counted.
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
    verified: bool = False
    edited: bool = False


class SaveApprovedInput(Record):
    """The request whose text, as it was approved, is what came of its task."""

    request_id: int
    task_id: str
