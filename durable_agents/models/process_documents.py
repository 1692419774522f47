"""Input, result and steps of `DocumentBatchWorkflow`.

Each document is a job of a work pool. A few ids can be given as they are; of many, history holds
only the name of the batch of jobs that they were made into.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from durable_agents.models.base import Deadline, Record
from durable_agents.models.jobs import MAX_PARALLELISM, PoolName, ShortText

DOCUMENT_POOL = "documents"
MOST_INLINE = 200
"""Ids that an input may hold; more are made into a batch first."""

MOST_FAILURES = 50
"""Failures that a result names; the pool lists all."""

DocumentId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
BatchName = Annotated[str, Field(max_length=90)]
BatchEnd = Literal["", "deadline"]


class DocumentJobs(Record):
    """How documents are analysed, each as a job of a pool.

    `max_parallelism` is that of the pool, if it has to be made. `document_deadline_s` bounds the
    analysis of one document, from when its turn has come.
    """

    pool: PoolName = DOCUMENT_POOL
    max_parallelism: int = Field(default=10, ge=1, le=MAX_PARALLELISM)
    allow_partial: bool = False
    user_id: ShortText = ""
    tenant: ShortText = ""
    weight: float = Field(default=1, gt=0, le=1000, allow_inf_nan=False)
    priority: int = Field(default=3, ge=1, le=5)
    document_deadline_s: float = Field(default=3600, gt=0, le=6 * 86_400, allow_inf_nan=False)


class BatchResume(Record):
    """Where a run stood that another goes on for."""

    started_at: float
    deadline_at: float
    steps_done: int = 0


class DocumentBatchInput(DocumentJobs):
    """Documents by their ids, 200 at most, or as a batch of jobs that is in its pool already.

    `deadline_s` (seconds) bounds the whole run: what is not done by then is cancelled, and the
    result says so. `resume` is set by the run itself.
    """

    document_ids: tuple[DocumentId, ...] = Field(default=(), max_length=MOST_INLINE)
    batch: BatchName = ""
    deadline_s: Deadline = 3 * 86_400
    resume: BatchResume | None = None

    @model_validator(mode="after")
    def _names_documents(self) -> Self:
        if bool(self.document_ids) == bool(self.batch):
            raise ValueError("give document_ids, or the batch that they are in")
        return self


class BatchCounts(Record):
    """How many documents of a batch stand where; `sealed` says that no more come."""

    batch: str
    sealed: bool = False
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    left: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.sealed and not self.left

    @property
    def total(self) -> int:
        """All of them."""
        return self.done + self.failed + self.cancelled + self.left


class DocumentFailure(Record):
    """A document that was not analysed, and why."""

    document_id: str
    job_id: int
    error_type: str = ""
    reason: str = ""


class BatchFailures(Record):
    """The first failures of a batch."""

    failures: tuple[DocumentFailure, ...] = ()


class DocumentBatchResult(Record):
    """What became of the documents.

    `failures` names 50 at most, `failed` counts all. `stopped` says what ended the run before all
    were done; then `cancelled` counts those that were not, and `left` those that were told to
    stop and had not by the end. Each analysis is in the database, and the result of its job.
    """

    batch: str
    pool: str
    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    left: int = 0
    failures: tuple[DocumentFailure, ...] = ()
    stopped: BatchEnd = ""
