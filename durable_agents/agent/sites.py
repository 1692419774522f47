"""Where a model call stands, who pays for it, and the row it leaves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from durable_agents.agent.prices import Prices
from durable_agents.db.tenant_days import Caller
from durable_agents.db.usage import CallRecord
from durable_agents.models.status import Usage
from durable_agents.models.tenants import tenant_key

CallWatch = Callable[[CallRecord], None]
"""Who counts model calls: told of each attempt when it is over."""


@dataclass(frozen=True)
class CallSite:
    """Where a model call stands: the workflow, the run, the step, the attempt, for whom.

    `tenant` is who pays for it, as the server's key of a turn spells it; the user when left out.
    """

    workflow_id: str
    run_id: str
    step: str
    attempt: int
    user_id: str = ""
    tenant: str = ""

    @property
    def payer(self) -> str:
        """Whose day the call counts to, as the server's key of a turn spells it."""
        return self.tenant or tenant_key(self.user_id)

    @property
    def caller(self) -> Caller:
        """Which attempt of which step makes the call."""
        return Caller(self.run_id, self.step, self.attempt)

    def record(
        self,
        prices: Prices,
        *,
        agent: str,
        model: str,
        outcome: str,
        started: float,
        used: tuple[int, int] = (0, 0),
    ) -> CallRecord:
        """The row of one attempt at a call.

        Args:
            prices: What tokens cost.
            agent: Who asked.
            model: Which model.
            outcome: `ok`, or the name of the error.
            started: When, by `time.perf_counter`.
            used: The tokens that went in and came out.
        """
        place: dict[str, Any] = {**vars(self)}
        del place["tenant"]
        return CallRecord(
            **place,
            agent=agent,
            model=model,
            outcome=outcome,
            input_tokens=used[0],
            output_tokens=used[1],
            cost_usd=prices.cost(model, *used),
            latency_ms=round((time.perf_counter() - started) * 1000),
        )


def total_of(records: Sequence[CallRecord]) -> Usage:
    """What some attempts used together; calls that got no answer count as calls."""
    return Usage(
        input_tokens=sum(record.input_tokens for record in records),
        output_tokens=sum(record.output_tokens for record in records),
        cost_usd=sum(record.cost_usd for record in records),
        calls=len(records),
    )


def unwatched(_: CallRecord) -> None:
    """Nobody counts."""
