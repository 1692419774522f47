"""What a model is asked, and when its answer will do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable_agents.agent.budget import Allowance
from durable_agents.agent.context import estimate_tokens
from durable_agents.clients.completion import ChatAnswer


@dataclass(frozen=True)
class Question:
    """What is asked.

    `complaint` says what is wrong with an answer, or returns an empty text. `asked_before` says
    that this attempt of the step has asked something else: what that used counts as well. `thread`
    is the conversation that it goes on with, if any.
    """

    messages: Sequence[dict[str, Any]]
    complaint: Callable[[ChatAnswer], str]
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    allowance: Allowance = field(default_factory=Allowance)
    asked_before: bool = False
    thread: int = 0

    def estimate(self, messages: Sequence[dict[str, Any]]) -> int:
        """About how many tokens go in with some messages; 0 where no bound needs to know."""
        if self.allowance == Allowance():
            return 0
        return estimate_tokens(messages, sum(len(str(tool)) for tool in self.tools))
