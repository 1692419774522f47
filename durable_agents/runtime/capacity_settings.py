"""How much one worker process takes on at once."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0.1, le=1, allow_inf_nan=False)]
"""Of all the processor or memory that there is: 0.8 is four fifths.

The SDK's core stays a little below its targets, by 0.05 for memory: less than 0.1 would mean never.
"""

LEAST_POLLERS = 2  # of workflow tasks: one is for runs that are in the cache
MOST_POLLERS = 100  # more polls of one process than a server should have to hold open
MOST_SLOTS = 10_000  # each of workflow tasks may have a thread
MOST_CACHED = 100_000  # runs: the core makes room for all of them at its start


def _pollers(given: object) -> object:
    """`auto` in any spelling, or a number in range."""
    text = str(given).strip().lower()
    if text == "auto":
        return text
    if not text.isdecimal() or not LEAST_POLLERS <= int(text) <= MOST_POLLERS:
        raise PydanticCustomError(
            "no_pollers",
            "it is neither `auto` nor a number from {least} to {most}",
            {"least": LEAST_POLLERS, "most": MOST_POLLERS},
        )
    return int(text)


class CapacitySettings(BaseModel):
    """The part of the settings that says how much a worker process takes on.

    With `fixed` slots a process always offers as many as the two numbers say. With `resource` it
    offers at most so many, and no more while processor or memory are used up to their targets.
    """

    worker_slots: Literal["fixed", "resource"] = "fixed"
    worker_target_cpu: Share | None = None  # None: what `workers.capacity` takes for a start
    worker_target_memory: Share | None = None
    # New and cached runs poll in turn: at least two.
    worker_workflow_slots: int = Field(default=100, ge=2, le=MOST_SLOTS)
    worker_activity_slots: int = Field(default=200, ge=1, le=MOST_SLOTS)
    worker_cached_workflows: int = Field(default=500, ge=0, le=MOST_CACHED)
    worker_pollers: Annotated[int | Literal["auto"], BeforeValidator(_pollers)] = 5

    @field_validator("worker_target_cpu", "worker_target_memory")
    @classmethod
    def _has_a_meaning(cls, given: float | None, info: ValidationInfo) -> float | None:
        if given is not None and info.data.get("worker_slots") == "fixed":
            raise PydanticCustomError(
                "no_target", "it counts only with WORKER_SLOTS=resource, and the slots are fixed"
            )
        return given
