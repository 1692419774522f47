"""Input and result of `ReActWorkflow`."""

from typing import Literal

from pydantic import Field

from durable_agents.models.approval import DAY_S, ApprovalOptions
from durable_agents.models.base import Deadline, Record
from durable_agents.models.bounds import MOST_ROUNDS_OF_A_TASK, ROUNDS, SEVERAL_CALLS_S
from durable_agents.models.conversation import MAX_TASK_CHARS
from durable_agents.models.status import Usage

StopReason = Literal["answered", "max_rounds", "budget"]


class ReActInput(Record):
    """A task for an agent that reasons and acts.

    `max_rounds` bounds the rounds of think, act, observe; `deadline_s` (seconds) the time at work.
    While the run waits for a person that time rests: each wait is bounded by
    `decision_deadline_s` (seconds) instead. `approval` says how decisions on tool calls are to be
    made; `asked_by` is who starts the run, the user when left out.
    `max_tokens`, `max_cost_usd` and `max_calls` are the run's budget; 0 sets no bound.
    `thread` goes on with a conversation. `resume` is for the runs of one chain among themselves.
    """

    task: str = Field(min_length=1, max_length=MAX_TASK_CHARS, pattern=r"\S")
    agent: str = "assistant"
    user_id: str = ""
    thread: int = Field(default=0, ge=0)
    max_rounds: int = Field(default=ROUNDS, ge=1, le=MOST_ROUNDS_OF_A_TASK)
    deadline_s: Deadline = SEVERAL_CALLS_S
    max_tokens: int = Field(default=0, ge=0)
    max_cost_usd: float = Field(default=0, ge=0, allow_inf_nan=False)
    max_calls: int = Field(default=0, ge=0)
    resume: "LoopState | None" = None
    asked_by: str = ""
    decision_deadline_s: Deadline = 3 * DAY_S
    approval: ApprovalOptions = ApprovalOptions()


class ToolUse(Record):
    """A tool call as the result tells it: which tool, about what, and how it ended."""

    tool: str
    about: str = ""
    outcome: Literal["done", "failed", "refused"] = "done"


class LoopState(Record):
    """Where an agent loop is; a run hands it to the next one of its chain.

    `occurrences` counts the calls of tools that have an effect, by tool and arguments;
    `unsettled` holds the keys of those whose outcome stayed unknown.
    """

    thread: int
    head: int
    task: int
    round: int
    deadline_at: float = 0
    usage: Usage = Usage()
    tool_calls: tuple[ToolUse, ...] = ()
    tool_calls_made: int = 0
    occurrences: dict[str, int] = Field(default_factory=dict[str, int])
    unsettled: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    steps_done: int = 0


class ReActResult(Record):
    """What came of a task.

    `stopped` says why the run ended: the agent answered, it ran out of rounds, or out of its
    budget; in the last two cases `answer` says so. `tool_calls` lists the latest 100 of
    `tool_calls_made`.
    """

    answer: str
    stopped: StopReason = "answered"
    rounds: int = 0
    tool_calls: tuple[ToolUse, ...] = ()
    tool_calls_made: int = 0
    usage: Usage = Usage()
    thread: int = 0
    model: str = ""
