"""Input, result and steps of `ResearchWorkflow`.

Texts pass between the steps as drafts: history holds their ids, lengths and small judgements.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import MOST_REFINEMENTS, REFINEMENTS, SEVERAL_CALLS_S
from durable_agents.models.status import Usage

MAX_QUERY_CHARS = 4000
MOST_SUB_QUESTIONS = 4

ResearchStop = Literal["confident", "max_rounds", "budget", "failed"]


class ResearchPlan(BaseModel):
    """The sub-questions of a question, as a model answers."""

    model_config = ConfigDict(extra="forbid")

    sub_questions: list[str] = Field(description="One to four.")


class Evaluation(BaseModel):
    """What a draft finds and how well it is founded, as a model answers."""

    model_config = ConfigDict(extra="forbid")

    findings: list[str]
    confidence: float = Field(ge=0, le=1, description="From 0 to 1.")


class ResearchInput(Record):
    """A question to research.

    A report below the confidence `threshold` is reviewed and refined, at most `max_rounds`
    times. `deadline_s` (seconds) bounds the run; `max_tokens`, `max_cost_usd` and `max_calls`
    are its budget, which the parallel investigations share; 0 sets no bound.
    """

    query: str = Field(min_length=1, max_length=MAX_QUERY_CHARS, pattern=r"\S")
    max_rounds: int = Field(default=REFINEMENTS, ge=0, le=MOST_REFINEMENTS)
    threshold: float = Field(default=0.8, ge=0, le=1)
    user_id: str = ""
    deadline_s: Deadline = SEVERAL_CALLS_S
    max_tokens: int = Field(default=0, ge=0)
    max_cost_usd: float = Field(default=0, ge=0)
    max_calls: int = Field(default=0, ge=0)


class KeepFindingInput(Record):
    """Make the answer that is stored as a message a draft."""

    message: int


class JoinFindingsInput(Record):
    """Make one draft of findings, each under the question it answers, without a model.

    `failure` says why no report was written; empty when the budget ended.
    """

    questions: tuple[str, ...]
    findings: tuple[int, ...]
    failure: str = ""


class WriteInput(Record):
    """Let an agent write a text from drafts: the findings, or the draft and then its review.

    `max_tokens`, `max_cost_usd` and `max_calls` are what the call may use; 0 sets no bound.
    """

    query: str
    drafts: tuple[int, ...]
    user_id: str = ""
    max_tokens: int = 0
    max_cost_usd: float = 0
    max_calls: int = 0


class Written(Record):
    """A text that was stored as a draft: its id, and what it took."""

    draft: int
    model: str = ""
    usage: Usage = Usage()


class EvaluateInput(Record):
    """Let the analyst judge a draft, within what the call may use."""

    query: str
    draft: int
    user_id: str = ""
    max_tokens: int = 0
    max_cost_usd: float = 0
    max_calls: int = 0


class Evaluated(Record):
    """The analyst's judgement: the main findings, shortened, and a confidence from 0 to 1."""

    findings: tuple[str, ...] = ()
    confidence: float = 0
    model: str = ""
    usage: Usage = Usage()


class SaveReportInput(Record):
    """Make a draft the report of the run; `findings` are the drafts that sources are read from."""

    query: str
    draft: int
    findings: tuple[int, ...]
    confidence: float
    rounds: int
    user_id: str = ""


class SavedReport(Record):
    """The report as the result tells it, and the sources that were named."""

    report: str
    chars: int
    sources: tuple[str, ...] = ()


class ResearchResult(Record):
    """A report, how sure it is, and how it came about.

    `report` holds the first 8,000 of its `report_chars` characters; the table of reports has
    all of them. It is the draft with the highest confidence; where none was evaluated, `evaluated`
    is false, and where none was written, the report is the findings as they are, and says so;
    `written` is false then.
    `rounds` counts the refinements. `stopped` says why there were no more: it was confident
    enough, out of rounds, out of its budget, or a step failed for good, and `failure` says why.
    `unanswered` names the sub-questions whose investigation found no answer.
    """

    report: str
    confidence: float = 0
    rounds: int = 0
    stopped: ResearchStop = "confident"
    findings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sub_questions: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    report_chars: int = 0
    usage: Usage = Usage()
    model: str = ""
    evaluated: bool = True
    failure: str = ""
    written: bool = True
