"""What a run may spend: reserved before a call, settled after it.

A budget belongs to a run and its children. A reservation counts as spent until it is settled,
so that calls side by side cannot overshoot together.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from durable_agents.models.errors import BudgetExceededError
from durable_agents.models.status import Usage

UNBOUNDED = 0


@dataclass(frozen=True)
class Allowance:
    """What one call may use at most; 0 sets no bound."""

    max_tokens: int = UNBOUNDED
    max_cost_usd: float = UNBOUNDED
    max_calls: int = UNBOUNDED


class Budget:
    """Bounds on tokens, US dollars and calls; 0 sets no bound.

    Args:
        max_tokens: Input and output tokens together.
        max_cost_usd: US dollars.
        max_calls: Model calls.
        spent: What earlier runs of the chain have used.
    """

    def __init__(
        self,
        *,
        max_tokens: int = UNBOUNDED,
        max_cost_usd: float = UNBOUNDED,
        max_calls: int = UNBOUNDED,
        spent: Usage | None = None,
    ) -> None:
        self._max_tokens = max_tokens
        self._max_cost_usd = max_cost_usd
        self._max_calls = max_calls
        self.spent = spent or Usage()
        self._open: list[Allowance] = []
        self._sharers = 0
        self._kept = Allowance()

    @contextmanager
    def shared(self) -> Generator[None]:
        """Be one of those at work side by side, for as long as this lasts.

        Each reservation then is an equal part of what is left, and leaves theirs to the others.
        """
        self._sharers += 1
        try:
            yield
        finally:
            self._sharers -= 1

    @contextmanager
    def keeping(self, share: float) -> Generator[None]:
        """Keep a share of what is left for later: for as long as this lasts nobody gets at it.

        Of calls it is at least one, and never the last.

        Raises:
            BudgetExceededError: Nothing is left; says of what.
        """
        calls = self._left_calls()
        self._kept = Allowance(
            max_tokens=int(self._left_tokens() * share),
            max_cost_usd=self._left_cost() * share,
            max_calls=min(ceil(calls * share), calls - 1) if calls else UNBOUNDED,
        )
        try:
            yield
        finally:
            self._kept = Allowance()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is reserved."""
        return not self._open

    def reserve(self) -> Allowance:
        """Set aside what is left for one call: all of it, or a part where others share it.

        Raises:
            BudgetExceededError: Nothing is left; says of what.
        """
        parts = max(self._sharers - len(self._open), 1)
        tokens, calls = self._left_tokens(), self._left_calls()
        allowance = Allowance(
            max_tokens=max(tokens // parts, 1) if tokens else UNBOUNDED,
            max_cost_usd=self._left_cost() / parts,
            max_calls=max(calls // parts, 1) if calls else UNBOUNDED,
        )
        self._open.append(allowance)
        return allowance

    def settle(self, allowance: Allowance, usage: Usage) -> None:
        """Give back what a call left of its allowance and book what it used."""
        self._open.remove(allowance)
        self.spent = self.spent + usage

    def _set_aside(self) -> list[Allowance]:
        return [*self._open, self._kept]

    def _left_calls(self) -> int:
        if not self._max_calls:
            return UNBOUNDED
        reserved = sum(allowance.max_calls for allowance in self._set_aside())
        left = self._max_calls - self.spent.calls - reserved
        if left <= 0:
            raise BudgetExceededError(
                f"The budget of {self._max_calls} model calls is used up. "
                "Raise max_calls to go further."
            )
        return left

    def _left_tokens(self) -> int:
        if not self._max_tokens:
            return UNBOUNDED
        reserved = sum(allowance.max_tokens for allowance in self._set_aside())
        used = self.spent.input_tokens + self.spent.output_tokens
        left = self._max_tokens - used - reserved
        if left <= 0:
            raise BudgetExceededError(
                f"The budget of {self._max_tokens} tokens is used up. "
                "Raise max_tokens to go further."
            )
        return left

    def _left_cost(self) -> float:
        if not self._max_cost_usd:
            return UNBOUNDED
        reserved = sum(allowance.max_cost_usd for allowance in self._set_aside())
        left = self._max_cost_usd - self.spent.cost_usd - reserved
        if left <= 0:
            raise BudgetExceededError(
                f"The budget of {self._max_cost_usd:g} US dollars is used up. "
                "Raise max_cost_usd to go further."
            )
        return left
