"""What passes between a workflow and the steps of an agent: references and small facts.

The conversation itself lies in the database. A message is named by its id; the messages that a
model may see are the chain of parents from one message, the head.
"""

from typing import Any, Literal

from durable_agents.models.base import Record
from durable_agents.models.status import Usage

MAX_TASK_CHARS = 100_000
"""A task longer than this is refused: it belongs into a document that tools can search."""


class OpenThreadInput(Record):
    """Open a thread, or go on with one, and add what the user says.

    `thread` 0 opens a new one. `agent` is checked against the catalogue. `chain` is the chain's
    first run: a reset finds the message again instead of adding it a second time.
    """

    text: str
    chain: str = ""
    agent: str = ""
    user_id: str = ""
    thread: int = 0


class ThreadHead(Record):
    """A thread and the last message that may be seen."""

    thread: int
    head: int


class ThinkInput(Record):
    """One model call of an agent: which agent, for which task, up to which message.

    `task` is the message that states the task; it stays in sight however long the run grows.
    `max_tokens` (input and output together), `max_cost_usd` and `max_calls` are what all its
    attempts may use; 0 sets no bound. `thread` is where those messages are, for traces.
    """

    agent: str
    head: int
    task: int = 0
    thread: int = 0
    max_tokens: int = 0
    max_cost_usd: float = 0
    max_calls: int = 0
    user_id: str = ""


class ToolCall(Record):
    """One tool call that a model asked for.

    `digest` is that of the arguments (hexadecimal, 12 digits), `about` a few words for people.
    `refused` says that the call cannot be run as it stands (no such tool, arguments that do not
    fit); the reason is stored with the message. `approval` says that a person has to agree.
    """

    tool: str
    digest: str
    about: str = ""
    refused: bool = False
    approval: bool = False


class Thought(Record):
    """What came of a model call: either tool calls, or an answer.

    `message` is the id of the stored message; `model` names the model that answered.
    """

    message: int
    calls: tuple[ToolCall, ...] = ()
    answer: str = ""
    model: str = ""
    usage: Usage = Usage()


class ToolCallInput(Record):
    """Run the call at `index` of the message `message`.

    `key` makes its effect happen once; it is empty for a tool that has none. `first_stands` says
    that the key stands for the effect whatever the arguments are: the first call does it, and a
    later one with other arguments is told what the first did. `request` names the request by which
    a person approved the call: the arguments are then those that were approved, which `digest`
    has to be that of.
    """

    message: int
    index: int = 0
    key: str = ""
    user_id: str = ""
    first_stands: bool = False
    request: int = 0
    digest: str = ""


class ToolOutcome(Record):
    """How a tool call ended. The observation is stored; only its length is told here."""

    chars: int = 0
    failed: bool = False


class FailedCall(Record):
    """A call that left no observation of its own, and why."""

    index: int
    reason: str


class ObserveInput(Record):
    """Make the observations of the calls of `message` part of the thread, in order."""

    message: int
    calls: int
    failed: tuple[FailedCall, ...] = ()


class LoggedError(Record):
    """An error to keep in the table of errors."""

    type: str
    message: str


class SaidMessage(Record):
    """A message to store: who says what.

    `stored` names one that a step has stored already; then it is not stored again, and `content`
    is left empty.
    """

    role: Literal["user", "assistant"]
    content: str = ""
    stored: int = 0


class SaveMessagesInput(Record):
    """Add messages to a thread behind its head."""

    thread: int
    head: int
    messages: tuple[SaidMessage, ...]


class QuotedMessage(Record):
    """A stored message to quote in a prompt, fenced as untrusted; `source` says who wrote it."""

    message: int
    source: str


class GenerateInput(Record):
    """One call of an agent that uses no tools.

    `quoted` are messages of threads that follow the prompt, so that history need not hold them.
    `max_tokens`, `max_cost_usd` and `max_calls` are what the call may use; 0 sets no bound.
    """

    agent: str
    prompt: str
    quoted: tuple[QuotedMessage, ...] = ()
    user_id: str = ""
    max_tokens: int = 0
    max_cost_usd: float = 0
    max_calls: int = 0


class GeneratedText(Record):
    """The text an agent wrote; empty when it says nothing."""

    text: str
    model: str = ""
    usage: Usage = Usage()


class GeneratedObject(Record):
    """The object an agent filled in, valid against its output type."""

    value: dict[str, Any]
    model: str = ""
    usage: Usage = Usage()
