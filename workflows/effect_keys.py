"""The idempotency keys of an agent's tool calls.

A key is made of the chain's first run, the tool, the digest of the arguments and the how-manyeth
of these, so that it stays the same after a reset and in the next run of the chain.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from durable_agents.agent.tools import TOOLS
    from durable_agents.models.conversation import ToolCall


class EffectKeys:
    """Hands out keys.

    Args:
        label: Tells the calls of one loop from those of the run's other loops.
        occurrences: How often each call was made already, by tool and arguments.
        unsettled: The keys of calls whose outcome stayed unknown, by tool and arguments.
    """

    def __init__(
        self,
        label: str,
        occurrences: Mapping[str, int],
        unsettled: Mapping[str, Sequence[str]],
    ) -> None:
        self._label = label
        self._occurrences = Counter(occurrences)
        self._unsettled = {same: list(keys) for same, keys in unsettled.items()}
        self._shared: dict[str, str] = {}

    @property
    def occurrences(self) -> dict[str, int]:
        """How often each call was made."""
        return dict(self._occurrences)

    @property
    def unsettled(self) -> dict[str, tuple[str, ...]]:
        """The keys of calls whose outcome stayed unknown."""
        return {same: tuple(keys) for same, keys in self._unsettled.items() if keys}

    def share(self, tool: str, key: str) -> None:
        """Let all calls of a tool have one key."""
        self._shared[tool] = key

    def is_shared(self, tool: str) -> bool:
        """Whether all calls of a tool have one key."""
        return tool in self._shared

    def key_of(self, call: ToolCall) -> str:
        """The key of the next call like this one; empty for a tool without an effect."""
        if call.tool in self._shared:
            return self._shared[call.tool]
        tool, same = TOOLS.get(call.tool), self._same(call)
        if tool is not None and not tool.effect:
            return ""
        if unsettled := self._unsettled.get(same):
            return unsettled.pop(0)
        self._occurrences[same] += 1
        chain = workflow.info().first_execution_run_id
        return f"{chain}/{same}/{self._occurrences[same]}"

    def leave_unsettled(self, call: ToolCall, key: str) -> None:
        """Note that nobody knows whether a call happened: the same again is the same effect."""
        if key and call.tool not in self._shared:
            self._unsettled.setdefault(self._same(call), []).append(key)

    def _same(self, call: ToolCall) -> str:
        return f"{self._label}{call.tool}/{call.digest}"
