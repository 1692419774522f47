"""Input, result and decision of `SupportWorkflow`."""

from pydantic import BaseModel, ConfigDict, Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import MOST_ROUNDS, ROUNDS, SEVERAL_CALLS_S
from durable_agents.models.conversation import MAX_TASK_CHARS
from durable_agents.models.react import StopReason, ToolUse
from durable_agents.models.status import Usage
from durable_agents.models.tickets import Priority


class SupportInput(Record):
    """What a customer writes.

    `user_id` is the customer's id, which is an account's id where there is one. `max_rounds`
    bounds the rounds of think, act, observe; `deadline_s` (seconds) the whole run.
    `max_tokens`, `max_cost_usd` and `max_calls` are its budget; 0 sets no bound.
    """

    issue: str = Field(min_length=1, max_length=MAX_TASK_CHARS, pattern=r"\S")
    user_id: str = Field(default="", max_length=200)
    max_rounds: int = Field(default=ROUNDS, ge=1, le=MOST_ROUNDS)
    deadline_s: Deadline = SEVERAL_CALLS_S
    max_tokens: int = Field(default=0, ge=0)
    max_cost_usd: float = Field(default=0, ge=0, allow_inf_nan=False)
    max_calls: int = Field(default=0, ge=0)


class SupportResult(Record):
    """What came of a customer's message.

    `ticket` is the ticket's number, or None; `priority` is the ticket's, else what the judge
    says. `escalated` says that people have to act: the judge decided so, the agent filed a ticket
    by itself, or it found no answer (`stopped`). Where the judge failed (`judged` is false), it is
    escalated as well, and `reason` says why nobody judged.
    """

    reply: str
    ticket: str | None = None
    priority: Priority = "low"
    escalated: bool = False
    reason: str = ""
    stopped: StopReason = "answered"
    judged: bool = True
    tool_calls: tuple[ToolUse, ...] = ()
    thread: int = 0
    model: str = ""
    usage: Usage = Usage()


class Judgement(Record):
    """What was decided, or that it was not."""

    escalate: bool
    priority: Priority = "medium"
    reason: str = ""
    judged: bool = True


class Escalation(BaseModel):
    """Whether people have to see a customer's message, and how soon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(description="Why, in one sentence that quotes what the customer says.")
    escalate: bool = Field(description="Whether people have to see it.")
    priority: Priority = Field(
        description="high only for money, security, danger, or work that stands still."
    )
