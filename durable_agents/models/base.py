"""The base of everything that history records."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_DEADLINE_S = 366 * 24 * 3600

Deadline = Annotated[float, Field(gt=0, le=MAX_DEADLINE_S, allow_inf_nan=False)]
"""Seconds that a run may take, a year at most."""


class Record(BaseModel):
    """A frozen model that only grows: new fields get defaults, none is renamed.

    Unknown fields are ignored, so that a run can be read by the release before the one that
    wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
