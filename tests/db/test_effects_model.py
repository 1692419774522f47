"""The ledger of effects against a model: deliveries, kills, conflicts, closings, in any order."""

import asyncio
import secrets
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.models.errors import DurableAgentsError, IdempotencyConflictError
from tests.db.effect_steps import BrokenError, Write, close, generations, once, ticket, written
from tests.stateful import Action, Steps, play

KEYS = ("one", "other")
REQUESTS = ("a", "b")
FATES = ("raises", "killed", "cancelled")
_KILL = text("SELECT pg_terminate_backend(pg_backend_pid())")

keys = st.sampled_from(KEYS)
requests = st.sampled_from(REQUESTS)


@dataclass
class Expected:
    """What is known of a key: the effects in order, and the request that is open."""

    names: list[str]
    is_open: bool = False
    request: str = ""


def killed(key: str, name: str) -> Write:
    """A write whose connection the server cuts before it can be committed."""

    async def write(connection: AsyncConnection) -> effects.JSON:
        result = await ticket(key, name)(connection)
        await connection.execute(_KILL)
        return result

    return write


class LedgerMachine(Steps):
    """Two keys, and whatever can happen to a delivery."""

    def __init__(self) -> None:
        super().__init__()
        token = secrets.token_hex(6)
        self.known = {name: Expected([]) for name in KEYS}
        self.key_of = {name: f"model-{token}-{name}" for name in KEYS}
        self.number = 0

    def _name(self) -> str:
        self.number += 1
        return f"effect-{self.number}"

    def begin_by_chance(self, seed: int) -> None:
        """Do many things in a row."""
        deliver: list[Action] = [
            lambda c: self.deliver(c.choice(KEYS), c.choice(REQUESTS), c.random() < 0.5)
        ]
        compensate: list[Action] = [lambda c: self.compensate(c.choice(KEYS), c.random() < 0.3)]
        self.rush(
            seed,
            *(deliver * 3),
            *(compensate * 2),
            lambda c: self.deliver_in_vain(c.choice(KEYS), c.choice(REQUESTS), c.choice(FATES)),
            lambda c: self.all_at_once(
                c.choice(KEYS), c.choices(REQUESTS, k=c.randint(2, 4)), c.randint(0, 2)
            ),
        )

    @rule(key=keys, request=requests, is_lost=st.booleans())
    def deliver(self, key: str, request: str, is_lost: bool) -> None:
        """Deliver, perhaps for the second time; an answer that is lost leads to another try."""
        known, named, name = self.known[key], self.key_of[key], self._name()
        for _ in range(1 + is_lost):
            try:
                got = self.do(once(self.database, named, ticket(named, name), request))
            except IdempotencyConflictError:
                assert known.is_open
                assert known.request != request
                return
            if not known.is_open:
                known.names.append(name)
                known.is_open, known.request = True, request
            assert known.request == request
            assert got == {"name": known.names[-1]}

    @rule(key=keys, request=requests, how=st.sampled_from(FATES))
    def deliver_in_vain(self, key: str, request: str, how: str) -> None:
        """Deliver, and be stopped before the commit: nothing is left."""
        known, named = self.known[key], self.key_of[key]
        try:
            self.do(self._in_vain(named, request, how))
        except IdempotencyConflictError:
            assert known.request != request
        except (BrokenError, DurableAgentsError, SQLAlchemyError, asyncio.CancelledError):
            assert not known.is_open
        else:
            assert known.is_open
            assert known.request == request

    async def _in_vain(self, named: str, request: str, how: str) -> None:
        name = self._name()
        if how == "killed":
            await once(self.database, named, killed(named, name), request)
        elif how == "raises":
            await once(self.database, named, ticket(named, name, fails=True), request)
        else:
            begun = asyncio.Event()

            async def write(connection: AsyncConnection) -> effects.JSON:
                await ticket(named, name)(connection)
                begun.set()
                return await asyncio.Event().wait()

            work = asyncio.ensure_future(once(self.database, named, write, request))
            waiting = asyncio.ensure_future(begun.wait())
            await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            work.cancel()
            await work

    @rule(key=keys, fails=st.booleans())
    def compensate(self, key: str, fails: bool) -> None:
        """Close what is open, or be stopped before the commit."""
        known = self.known[key]
        try:
            closed = self.do(close(self.database, self.key_of[key], fails=fails))
        except BrokenError:
            return
        assert closed == (len(known.names) if known.is_open else None)
        known.is_open = False

    @rule(key=keys, wanted=st.lists(requests, min_size=2, max_size=4), closes=st.integers(0, 2))
    def all_at_once(self, key: str, wanted: list[str], closes: int) -> None:
        """Deliver and close at the same moment: one order of it, whichever, is what happened."""
        known, named = self.known[key], self.key_of[key]
        results = self.do(self._at_once(named, wanted, closes))
        after = self.do(generations(self.database, named))

        names = [name for _, name, _ in after]
        asked = {*wanted, known.request} if known.is_open else set(wanted)
        assert names[: len(known.names)] == known.names
        assert len(names) - len(known.names) <= 1 + closes
        for request, got in zip(wanted, results, strict=True):
            if isinstance(got, IdempotencyConflictError):
                assert len(asked) > 1, request
            else:
                assert isinstance(got, dict), got
                assert got["name"] in names
        known.names, known.is_open = names, bool(after) and after[-1][2]
        if known.is_open:
            known.request = self.do(self._request_of(named))

    async def _at_once(self, named: str, wanted: list[str], closes: int) -> list[object]:
        deliveries = [
            once(self.database, named, ticket(named, self._name()), request) for request in wanted
        ]
        closings = [close(self.database, named) for _ in range(closes)]
        done = await asyncio.gather(*deliveries, *closings, return_exceptions=True)
        return list(done[: len(wanted)])

    async def _request_of(self, named: str) -> str:
        query = text("SELECT fingerprint FROM effects WHERE key = :key AND closed_at IS NULL")
        async with self.database.statement() as connection:
            stored = await connection.scalar(query, {"key": named})
        return next(one for one in REQUESTS if effects.fingerprint(one) == stored)

    def check_invariants_now(self) -> None:
        """After each step of a rush, too."""
        self.each_effect_is_there_once()

    @invariant()
    def each_effect_is_there_once(self) -> None:
        """A generation has its effect, and the last one alone may be open."""
        for key, known in self.known.items():
            found = self.do(generations(self.database, self.key_of[key]))
            assert [number for number, _, _ in found] == list(range(1, len(known.names) + 1))
            assert [name for _, name, _ in found] == known.names
            states = [is_open for _, _, is_open in found]
            assert not any(states[:-1])
            assert (bool(states) and states[-1]) == known.is_open
            assert self.do(written(self.database, self.key_of[key])) == known.names


def test_any_order_of_deliveries_kills_and_closings_leaves_each_effect_once(
    database_url: str,
) -> None:
    play(LedgerMachine, database_url, examples=2, steps=12, seeds=(1,))
