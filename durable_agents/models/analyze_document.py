"""Input, result and steps of `DocumentAnalysisWorkflow`.

A document is named by its id and read section by section where it lies; history holds how many
sections there are, how far each branch is, and what it found in the end.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import SEVERAL_CALLS_S
from durable_agents.models.status import Usage

SUMMARIES_AT_ONCE = 12
"""So many summaries of sections are summarised into one, level by level."""

Branch = Literal["sentiment", "topics", "summary"]
Label = Literal["positive", "neutral", "negative"]


class Sentiment(BaseModel):
    """How a text feels, as a model answers."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    score: float = Field(ge=-1, le=1, description="From -1, bad, over 0 to 1, good.")


class Topics(BaseModel):
    """What a text is about, as a model answers."""

    model_config = ConfigDict(extra="forbid")

    topics: list[str] = Field(description="Up to five, the most important one first.")


class Summary(BaseModel):
    """What a text says, as a model answers."""

    model_config = ConfigDict(extra="forbid")

    text: str


class DocumentAnalysisInput(Record):
    """A document of the table of documents.

    With `allow_partial` a branch that fails for good is left out and named in the result; the
    run fails only when nothing is left. `deadline_s` (seconds) bounds the whole run;
    `max_tokens`, `max_cost_usd` and `max_calls` are its budget, 0 sets no bound. With a budget
    the branches are read one after the other, so that it pays for whole ones.
    """

    document_id: str = Field(min_length=1, max_length=200, pattern=r"\S")
    allow_partial: bool = False
    user_id: str = ""
    deadline_s: Deadline = SEVERAL_CALLS_S
    max_tokens: int = Field(default=0, ge=0)
    max_cost_usd: float = Field(default=0, ge=0, allow_inf_nan=False)
    max_calls: int = Field(default=0, ge=0)


class DocumentFacts(Record):
    """What is known of a document without reading it; `digest` is that of its content."""

    document_id: str
    title: str
    chars: int
    sections: int
    digest: str


class ReadSectionsInput(Record):
    """Read some sections of a document, or of what was noted of it, for one branch.

    `level` 0 reads the document; each level above reads the notes of the one below it. `first`
    and `count` say which sections of the level, `of` how many it has. `max_tokens`,
    `max_cost_usd` and `max_calls` are what all attempts may use; 0 sets no bound.
    """

    document_id: str
    digest: str
    branch: Branch
    first: int
    count: int
    of: int
    level: int = 0
    user_id: str = ""
    max_tokens: int = 0
    max_cost_usd: float = 0
    max_calls: int = 0


class SectionsRead(Record):
    """How many sections were read in order, and what they used, also in earlier attempts."""

    read: int
    usage: Usage = Usage()


class CombineInput(Record):
    """Put together what a branch noted; `levels` counts them."""

    branch: Branch
    levels: int


class BranchFindings(Record):
    """What a branch found: one of the three; and the model that read the last section."""

    sentiment: Label | None = None
    score: float = 0
    topics: tuple[str, ...] = ()
    summary: str = ""
    model: str = ""


class MissingBranch(Record):
    """A branch that failed for good, and why."""

    branch: Branch
    reason: str


class DocumentAnalysisResult(Record):
    """What a document says and how it feels.

    `partial` says that branches failed; `missing` names them and why, and their fields are
    empty. `score` goes from -1 to 1.
    """

    document_id: str
    title: str
    chars: int = 0
    sections: int = 0
    sentiment: Label | None = None
    score: float = 0
    topics: tuple[str, ...] = ()
    summary: str = ""
    partial: bool = False
    missing: tuple[MissingBranch, ...] = ()
    usage: Usage = Usage()
    model: str = ""
