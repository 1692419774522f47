"""The base of everything that history records."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen model that only grows: new fields get defaults, none is renamed.

    Unknown fields are ignored, so that a run can be read by the release before the one that
    wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
