"""Input and result of `DebugWorkflow`."""

from typing import Annotated

from pydantic import Field

from durable_agents.models.base import Deadline, Record

Value = Annotated[float, Field(allow_inf_nan=False)]


class DebugInput(Record):
    """Numbers to work on.

    `pause_s` is a pause between the two steps: time to kill a worker and look at its log.
    """

    values: tuple[Value, ...] = Field(min_length=1, max_length=1000)
    pause_s: float = Field(default=0, ge=0, le=3600)
    deadline_s: Deadline = 600
    user_id: str = ""


class Total(Record):
    """What step 1 finds: how many values there are, and what they add up to."""

    count: int
    total: float


class DebugResult(Record):
    """What the two steps found."""

    count: int
    total: float
    mean: float
