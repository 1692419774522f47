"""Input, result and messages of `PoolLaneWorkflow`."""

from typing import Any, Literal

from pydantic import Field

from durable_agents.models.base import Record
from durable_agents.models.jobs import ClaimedJob, PoolName, Telling


class LaneReport(Record):
    """What became of the job before, as far as its activity could not store it itself.

    `at_once` says that the first time the job waits for nothing. `is_lost` says that this try was
    not the job's own doing: its worker was lost, the database was away, or an earlier run of it was
    still there.
    """

    job_id: int = 0
    fence: int = 0
    outcome: Literal["", "done", "failed", "cancelled"] = ""
    result: Any = None
    error_type: str = ""
    error: str = ""
    is_final: bool = False
    retry_after_s: float | None = None
    at_once: bool = False
    is_lost: bool = False


class Told(Record):
    """Whose completions were told: jobs, and batches."""

    jobs: tuple[int, ...] = ()
    batches: tuple[str, ...] = ()


class PoolLaneInput(Record):
    """Which lane of which pool; and for a run that goes on for another, where that one stood.

    `turn` is that of its last claim; `jobs` counts the jobs of all runs in the chain.
    """

    pool: PoolName
    lane: int = Field(ge=0)
    report: LaneReport = LaneReport()
    turn: int = 0
    jobs: int = 0


class PoolLaneResult(Record):
    """How many jobs the lane ran until it found nothing more to do."""

    jobs: int = 0


class ClaimInput(Record):
    """A lane asks for what to do next.

    `claim` names run and step; `turn` is the run's clock in microseconds, by which a step that
    was overtaken is known and refused.
    """

    pool: str
    lane: int
    claim: str
    turn: int
    is_first: bool = False
    report: LaneReport = LaneReport()


class LaneTurn(Record):
    """What a lane does next: tell, run a job, wait for a delayed one, or end."""

    tellings: tuple[Telling, ...] = ()
    job: ClaimedJob | None = None
    wait_s: float = 0
    is_over: bool = False


class JobWorkflow(Record):
    """The workflow of a job, of which a lane wants to be rid."""

    workflow_id: str
    run_id: str = ""


class CancelJob(Record):
    """The message that stops a job which is running."""

    job_id: int
