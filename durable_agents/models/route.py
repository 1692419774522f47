"""Input and result of `RoutingWorkflow`, and the interaction that it saves."""

from pydantic import Field

from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import MOST_ROUNDS, ROUNDS, SEVERAL_CALLS_S
from durable_agents.models.conversation import MAX_TASK_CHARS
from durable_agents.models.react import StopReason, ToolUse
from durable_agents.models.status import Usage


class RoutingInput(Record):
    """A message that goes to the agent it is for.

    A classification that is less sure than `threshold` (0 to 1) goes to the general agent.
    `max_rounds` bounds the rounds of think, act, observe; `deadline_s` (seconds) the whole run.
    `max_tokens`, `max_cost_usd` and `max_calls` are its budget; 0 sets no bound.
    """

    message: str = Field(min_length=1, max_length=MAX_TASK_CHARS, pattern=r"\S")
    user_id: str = Field(default="", max_length=200)
    threshold: float = Field(default=0.6, ge=0, le=1)
    max_rounds: int = Field(default=ROUNDS, ge=1, le=MOST_ROUNDS)
    deadline_s: Deadline = SEVERAL_CALLS_S
    max_tokens: int = Field(default=0, ge=0)
    max_cost_usd: float = Field(default=0, ge=0, allow_inf_nan=False)
    max_calls: int = Field(default=0, ge=0)


class RoutingResult(Record):
    """Where a message went, and the reply.

    `intent` is the route that was taken, `classified_as` what the classifier said with
    `confidence`; they differ when it was not sure enough.
    """

    intent: str
    reply: str
    classified_as: str = ""
    confidence: float = 0
    agent: str = ""
    stopped: StopReason = "answered"
    tool_calls: tuple[ToolUse, ...] = ()
    thread: int = 0
    model: str = ""
    usage: Usage = Usage()


class Classified(Record):
    """What the classifier said, as history records it."""

    type: str
    confidence: float


class InteractionRecord(Record):
    """An interaction to save: two messages of a thread, and how the first was routed."""

    message: int
    reply: int
    intent: str
    confidence: float
    agent: str
    user_id: str = ""
