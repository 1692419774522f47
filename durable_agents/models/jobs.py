"""Jobs of a work pool: what is asked for, what a lane is handed, what it reports."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from durable_agents.models.base import Record

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_CONTEXT_BYTES = 16 * 1024  # a lane tells of up to 20 completions in one step
MAX_PARALLELISM = 1000

WORKFLOW_KIND = "workflow:"
"""How a kind begins whose work is a workflow: its type comes after."""

JobStatus = Literal["queued", "delayed", "running", "done", "failed", "cancelled"]
FINISHED: tuple[JobStatus, ...] = ("done", "failed", "cancelled")

PoolName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,59}$")]
ShortText = Annotated[str, Field(max_length=200)]


class JobRetry(Record):
    """How often and when a job is tried again.

    The wait before try n + 1 is drawn evenly from 0 to `initial_s * backoff ** (n - 1)`, at most
    `max_s` ("full jitter"); where a server named a delay, that one is taken.
    """

    attempts: int = Field(default=3, ge=1, le=1000)
    initial_s: float = Field(default=1, ge=0, le=86_400, allow_inf_nan=False)
    backoff: float = Field(default=2, ge=1, le=100, allow_inf_nan=False)
    max_s: float = Field(default=60, ge=0, le=86_400, allow_inf_nan=False)


class OnComplete(Record):
    """Whom to tell when a job, or a batch, is finished: a workflow by signal, or an activity.

    Both get a `Completion`, at least once; it names the job, so that repeats can be dropped. The
    context is JSON, at most 16 KiB. What the server would refuse is refused here: it would have
    the lane try again and again.
    """

    workflow_id: ShortText = ""
    signal: ShortText = ""
    activity: ShortText = ""
    queue: ShortText = ""
    context: Any = None

    @field_validator("context")
    @classmethod
    def _check_context(cls, context: Any) -> Any:
        try:
            size = len(json.dumps(context, allow_nan=False))
        except TypeError as error:  # Pydantic tells of a ValueError alone
            raise ValueError(f"The context is not JSON: {error}.") from error
        if size > MAX_CONTEXT_BYTES:
            raise ValueError(
                f"The context has {size:,} bytes, and {MAX_CONTEXT_BYTES:,} is the most: store "
                "what is large, and give its id."
            )
        return context

    @model_validator(mode="after")
    def _check_receiver(self) -> Self:
        is_signal = bool(self.workflow_id and self.signal) and not self.activity
        is_activity = bool(self.activity) and not (self.workflow_id or self.signal)
        if not (is_signal or is_activity):
            raise ValueError("Give either a workflow_id and a signal, or an activity.")
        return self


class NewJob(Record):
    """A job to enqueue. Make one with `JobKind.new`, which checks the payload.

    Attributes:
        kind: A job kind, or `workflow:` and the type of a workflow.
        payload: JSON, at most 256 KiB; what is larger is stored, and its id passed.
        key: Makes the job once in its pool: the same key again is left as it is.
        priority: 1 (first) to 5.
        weight: The tenant's share against other tenants of the same priority.
        about: What the job is about, for people.
        timeout_s: The longest that one attempt may take.
        not_before: When it may run first.
        on_complete: Whom to tell.
    """

    kind: str = Field(min_length=1, max_length=200)
    payload: Any = Field(default_factory=dict)
    key: str | None = Field(default=None, min_length=1, max_length=300)
    tenant: ShortText = ""
    priority: int = Field(default=3, ge=1, le=5)
    weight: float = Field(default=1, gt=0, le=1000, allow_inf_nan=False)
    about: ShortText = ""
    retry: JobRetry = JobRetry()
    timeout_s: float = Field(default=300, ge=0.001, le=7 * 86_400, allow_inf_nan=False)
    not_before: AwareDatetime | None = None
    on_complete: OnComplete | None = None

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind: str) -> str:
        if kind == WORKFLOW_KIND:
            raise ValueError(f"Name the type of the workflow after {WORKFLOW_KIND}")
        return kind


class EnqueueInput(Record):
    """Jobs that a workflow enqueues with the activity `enqueue_jobs`.

    A pool that is not there is made with `max_parallelism`. A batch is opened when it is not
    there; `seal` says that no more jobs come, and only then can it be complete.
    """

    pool: PoolName
    jobs: tuple[NewJob, ...] = ()
    max_parallelism: int | None = Field(default=None, ge=1, le=MAX_PARALLELISM)
    batch: str | None = None
    seal: bool = True
    on_complete: OnComplete | None = None


class Enqueued(Record):
    """How many jobs were new."""

    count: int = 0


class JobRun(Record):
    """The input of a job's activity: which job, and the fence that it was handed out with.

    `lane`, `claim` and `turn` let the activity claim the lane's next job once this one is done,
    which spares the lane a step; without a claim it does not.
    """

    job_id: int
    fence: int
    lane: int = 0
    claim: str = ""
    turn: int = 0


class ClaimedJob(Record):
    """A job as a lane is handed it; the payload is there only for a workflow's.

    `traceparent` is the span that put it in, where that was traced.
    """

    job_id: int
    fence: int
    kind: str
    timeout_s: float = 300
    about: str = ""
    tenant: str = ""
    payload: Any = None
    traceparent: str = ""


class Completion(Record):
    """What is told of a finished job, or of a batch all of whose jobs are."""

    pool: str
    job_id: int = 0
    batch: str = ""
    key: str = ""
    status: str = ""
    error_type: str = ""
    error: str = ""
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    context: Any = None


class Telling(Record):
    """A completion and whom to tell."""

    to: OnComplete
    completion: Completion


class JobCount(Record):
    """How many jobs of a tenant stand where."""

    tenant: str
    status: JobStatus
    count: int


class PoolStatus(Record):
    """A pool, and how many of its jobs stand where."""

    pool: str
    max_parallelism: int
    is_paused: bool = False
    retention_s: int = 0
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    tenants: tuple[JobCount, ...] = ()


class JobRow(Record):
    """A job as the database holds it, without its payload."""

    job_id: int
    pool: str
    kind: str
    key: str | None = None
    batch: str | None = None
    tenant: str = ""
    priority: int = 3
    about: str = ""
    status: JobStatus
    failures: int = 0
    result: Any = None
    error_type: str = ""
    error: str = ""
    not_before: datetime | None = None
    enqueued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
