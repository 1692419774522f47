"""Quotas of calls a second and of tokens a minute, which all worker processes keep together.

A call takes its turn before it is made and settles what it has used afterwards. A wait of up to
five seconds is waited for on the spot; a longer one is `QuotaWaitError`, so that it holds no slot
of a worker. Without a limit nothing is asked of the database.

A process that dies between the two leaves its estimate taken: at most what one call may use, for
as long as the quota needs to fill up by that much.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from durable_agents.db.engine import Database
from durable_agents.db.quotas import Draw, Turn, hold_of, settle, take_turn
from durable_agents.models.errors import (
    DatabaseUnavailableError,
    FinalError,
    QuotaSizeError,
    QuotaWaitError,
    TransientError,
)
from durable_agents.models.queues import DEFAULT_QUOTA

OF_CALLS, OF_MODEL = "calls/", "model/"  # what the keys of buckets begin with
PATIENCE_S = 5.0
CALLS_AT_ONCE_S = 0.5  # calls that may come at once: those of half a second, so a limit is even
TOKENS_AT_ONCE_S = 6.0  # tokens: a tenth of a minute's, so no minute has a tenth more than allowed

logger = logging.getLogger(__name__)


class QuotaWatch(Protocol):
    """Who counts what quotas cost."""

    def waited(self, quota: str, seconds: float) -> None:
        """A call waited on the spot."""
        ...

    def sent_away(self, quota: str, seconds: float) -> None:
        """A call is to come back later."""
        ...

    def reserved(self, model: str, tokens: int) -> None:
        """A call has taken tokens."""
        ...


@dataclass
class Spending:
    """What a call has used in the end; the estimate stands while it is not known."""

    tokens: int | None = None


class Quotas:
    """The quotas of a process's model calls.

    Args:
        database: Where their buckets are.
        calls: Calls a second of each quota.
        tokens: Tokens a minute of each model.
        watch: Who counts the waits.
    """

    def __init__(
        self,
        database: Database,
        *,
        calls: Mapping[str, float] | None = None,
        tokens: Mapping[str, float] | None = None,
        watch: QuotaWatch | None = None,
    ) -> None:
        self._database = database
        self._calls = calls or {}
        self._tokens = tokens or {}
        self._watch = watch

    @asynccontextmanager
    async def turn(
        self, quota: str, model: str, estimate: Callable[[], int]
    ) -> AsyncGenerator[Spending]:
        """Make one call inside this, and note what it has used.

        A provider's `Retry-After` (the `retry_after` of what the call raises) holds back all who
        ask the same model. Where the outcome is not known, the estimate stays taken.

        Args:
            quota: The name of the quota; empty means the default.
            model: Which model is asked.
            estimate: Gives how many tokens the call may take; asked for only where it matters.

        Raises:
            QuotaWaitError: The turn comes in more than five seconds.
            QuotaSizeError: The call is larger than what the model's quota gives in a minute.
        """
        spending = Spending()
        draws = self._draws(quota or DEFAULT_QUOTA, model, estimate)
        if not draws:
            yield spending
            return
        *_, bucket = draws
        await self._take(quota or DEFAULT_QUOTA, model, draws)
        try:
            yield spending
        except TransientError as error:
            await asyncio.shield(self._settle(bucket, bucket.amount, error.retry_after))
            raise
        except FinalError:
            await asyncio.shield(self._settle(bucket, bucket.amount))
            raise
        if spending.tokens and bucket.amount:
            await self._settle(bucket, bucket.amount - spending.tokens)

    def _draws(self, quota: str, model: str, estimate: Callable[[], int]) -> tuple[Draw, ...]:
        """What a call takes, the model's bucket last; nothing where nothing is limited."""
        if quota not in self._calls and model not in self._tokens:
            return ()
        tokens = estimate() if model in self._tokens else 0
        of_model = draw_of_tokens(model, self._tokens.get(model, 0), tokens)
        if model in self._tokens and tokens > self._tokens[model]:
            raise QuotaSizeError(
                f"A call of about {tokens} tokens does not fit into the "
                f"{self._tokens[model]:g} tokens a minute of {model}. Raise it in "
                "MODEL_TOKENS_PER_MINUTE, or give the agent a lower output_tokens or less to read."
            )
        if quota not in self._calls:
            return (of_model,)
        return (draw_of_calls(quota, self._calls[quota], 1), of_model)

    async def _take(self, quota: str, model: str, draws: Sequence[Draw]) -> None:
        """Take the turn, and wait for it if it comes soon."""
        async with self._database.statement() as connection:
            turn = await take_turn(connection, draws, PATIENCE_S)
        if not turn.taken:
            raise self._later(quota, model, turn)
        if turn.wait_s:
            await self._wait(quota, model, draws, turn.wait_s)
        if self._watch is not None and draws[-1].amount:
            self._watch.reserved(model, round(draws[-1].amount))

    async def _wait(self, quota: str, model: str, draws: Sequence[Draw], seconds: float) -> None:
        """Wait for a turn that is taken; give it back when it cannot be used."""
        if self._watch is not None:
            self._watch.waited(quota, seconds)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(draws))
            raise
        async with self._database.statement() as connection:
            hold = await hold_of(connection, [draw.quota for draw in draws])
        if hold > 0:  # the provider has asked everyone to stay away meanwhile
            await self._give_back(draws)
            raise self._later(quota, model, Turn(taken=False, wait_s=hold, held=True))

    def _later(self, quota: str, model: str, turn: Turn) -> QuotaWaitError:
        """Send a call away; those who are sent away together do not come back together."""
        seconds = turn.wait_s + random.random() * min(turn.wait_s, PATIENCE_S)  # noqa: S311 - no secret
        if self._watch is not None:
            self._watch.sent_away(quota, seconds)
        reason = (
            f"The provider of {model} asks everyone to wait"
            if turn.held
            else f"The quota {quota} of calls, or that of tokens of {model}, is used up for now"
        )
        return QuotaWaitError(
            f"{reason}; the call is made in {seconds:.0f} s, without counting as a failure.",
            retry_after=timedelta(seconds=seconds),
            held=turn.held,
        )

    async def _give_back(self, draws: Sequence[Draw]) -> None:
        for draw in draws:
            await self._settle(draw, draw.amount)

    async def _settle(self, draw: Draw, back: float, hold: timedelta | None = None) -> None:
        """Settle; a database that is away leaves the estimate taken, and the answer is not lost."""
        if not back and not hold:
            return
        try:
            async with self._database.statement() as connection:
                await settle(connection, draw, back, hold.total_seconds() if hold else None)
        except DatabaseUnavailableError as error:
            logger.warning("A quota could not be settled: %s", error)


def draw_of_calls(quota: str, per_second: float, calls: int) -> Draw:
    """What calls take from the bucket of a quota, which holds one call at the least."""
    size = max(1.0, per_second * CALLS_AT_ONCE_S)
    return Draw(f"{OF_CALLS}{quota}", amount=calls, rate=per_second, size=size)


def draw_of_tokens(model: str, per_minute: float, tokens: int) -> Draw:
    """What a call takes from the bucket of a model; without a limit it only keeps `not_before`."""
    rate = per_minute / 60
    return Draw(f"{OF_MODEL}{model}", amount=tokens, rate=rate or 1, size=rate * TOKENS_AT_ONCE_S)
