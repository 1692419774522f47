"""The saga of an order against a model: runs that share orders, interleaved in any way.

Runs take the workflow's steps with the real activities on the real tables. Between any two steps
another run may take one; answers are lost, workers are killed after the gateway has charged, old
deliveries come late, runs are cancelled, reset or terminated, and people give refunds up.
"""

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from durable_agents.db import refunds
from durable_agents.db.ledger import DECLINED, OK
from durable_agents.models.errors import FinalError, TransientError
from durable_agents.models.order import Reservation, ReserveInput
from tests.activities.order_shop import Fate, Run, Shop
from tests.stateful import SEEDS, Action, Steps, play
from tests.workflows.orders import QUANTITY, new_order

STOCK = 2 * QUANTITY  # of each product, of which one order is made
KINDS = ((OK, "works"), (OK, "fails"), (DECLINED, "works"))
MOST_STEPS = 200

FATES: tuple[Fate, ...] = (
    "works",
    "works",
    "works",
    "works",
    "gateway away",
    "gateway away",
    "answer lost",
    "killed",
)

_STAND = text(
    """
    SELECT o.order_id, o.status, p.stock,
        (SELECT count(*) FROM effects e
         WHERE e.key = 'order/' || o.order_id || '/reserve' AND e.closed_at IS NULL) AS held,
        (SELECT count(*) FROM payments y LEFT JOIN refunds r USING (order_id, generation)
         WHERE y.order_id = o.order_id AND y.status = 'charged' AND y.amount_usd > 0
           AND r.outcome IS DISTINCT FROM 'abandoned') AS standing
    FROM orders o JOIN products p USING (sku) WHERE o.order_id = ANY(:ids) ORDER BY o.order_id
    """
)


class OrderMachine(Steps):
    """Some orders, and runs that work through them."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(self)
        self.order_ids: list[str] = []
        self.alive: list[Run] = []
        self.delivered: list[tuple[Any, Any]] = []

    @initialize(seed=SEEDS)
    def begin_by_chance(self, seed: int) -> None:
        """An order of each kind, each of a product of its own."""
        for card, fulfilment in KINDS:
            made = new_order(self.database, card, stock=STOCK, fulfilment=fulfilment)
            self.order_ids.append(self.do(made))
        self.rush_through(seed)

    @rule(seed=SEEDS)
    def rush_through(self, seed: int) -> None:
        """Do many things in a row."""
        step: list[Action] = [lambda c: self.step(c.randrange(99), c.choice(FATES))]
        begin: list[Action] = [lambda c: self.begin(c.choice((0, 1, 1, 2)))]
        together: list[Action] = [lambda c: self.step_together(c.randrange(99))]
        late: list[Action] = [lambda c: self.deliver_late(c.randrange(99))]
        self.rush(
            seed,
            *(step * 14),
            *(begin * 3),
            *(together * 2),
            *(late * 2),
            lambda c: self.cancel(c.randrange(99)),
            lambda c: self.reset(c.randrange(99)),
            lambda c: self.terminate(c.randrange(99)),
            lambda c: self.give_up(c.randrange(99)) if c.random() < 0.3 else None,
            lambda _: self.take_up(),
        )

    @rule(kind=st.integers(0, len(KINDS) - 1))
    def begin(self, kind: int) -> None:
        """Start a run."""
        self.alive.append(Run(self.order_ids[kind]))

    @rule(nth=st.integers(0, 9), fate=st.sampled_from(FATES))
    def step(self, nth: int, fate: Fate) -> None:
        """Take the next step of a run."""
        for run in self._some(nth):
            self.delivered += self.do(self.shop.advance(run, fate))

    @rule(nth=st.integers(0, 9))
    def step_together(self, nth: int) -> None:
        """Take the next steps of two runs at the same moment."""
        both = list({id(run): run for run in (*self._some(nth), *self._some(nth + 1))}.values())

        async def at_once() -> None:
            await asyncio.gather(*(self.shop.advance(run) for run in both))

        self.do(at_once())

    @rule(nth=st.integers(0, 9))
    def deliver_late(self, nth: int) -> None:
        """Deliver a step again, whatever has happened since."""
        if not self.delivered:
            return
        activity, request = self.delivered[nth % len(self.delivered)]
        if isinstance(request, ReserveInput):
            return  # it is waited for before anything is undone
        try:
            self.do(_performed(activity, request))
        except (FinalError, TransientError):
            return

    @rule(nth=st.integers(0, 9))
    def cancel(self, nth: int) -> None:
        """Cancel a run."""
        for run in self._some(nth):
            run.is_cancelled = True

    @rule(nth=st.integers(0, 9))
    def reset(self, nth: int) -> None:
        """Reset a run to its beginning: the chain stays the same."""
        for run in self._some(nth):
            if not run.step.startswith("undo"):
                run.__dict__.update(Run(run.order_id, chain=run.chain).__dict__)

    @rule(nth=st.integers(0, 9))
    def terminate(self, nth: int) -> None:
        """End a run, which undoes nothing."""
        for run in self._some(nth):
            self.alive.remove(run)

    @rule(nth=st.integers(0, 9))
    def give_up(self, nth: int) -> None:
        """Give a refund up that is under way."""
        undoing = [run for run in self.alive if run.step == "undo charge"]
        for run in undoing[nth % len(undoing) :][:1] if undoing else ():
            self.do(self.shop.abandon(run))

    @rule()
    def take_up(self) -> None:
        """Have refunds taken up whose runs are gone."""
        self.do(self._taken_up())

    async def _taken_up(self) -> None:
        chains = {run.chain for run in self.alive if run.step != "over"}
        taken: list[Run] = []
        for row in await self.shop.open_refunds():
            if row.order_id not in self.order_ids or row.run_id in chains:
                continue
            held = Reservation(generation=row.reservation, charge=row.generation)
            run = Run(row.order_id, step="undo charge", held=held, has_charged=True)
            async with self.database.statement() as connection:
                await refunds.hand_over(connection, row, workflow_id="taken", run_id=run.chain)
            taken.append(run)
        self.alive += taken

    def _some(self, nth: int) -> list[Run]:
        """One of the runs that are not over, if there is any."""
        open_runs = [run for run in self.alive if run.step != "over"]
        return [open_runs[nth % len(open_runs)]] if open_runs else []

    @invariant()
    def money_and_stock_are_conserved(self) -> None:
        """Stock is on the shelf or held once; one charge at most stands that nobody gave up."""
        for row in self.do(self._stand()):
            assert 0 <= row.stock == STOCK - QUANTITY * row.held, row
            assert row.standing <= 1, row
            if row.status == "fulfilled":
                assert (row.held, row.standing) == (1, 1), row

    def check_invariants_now(self) -> None:
        """After each step of a rush, too."""
        self.money_and_stock_are_conserved()

    async def _stand(self) -> list[Any]:
        """How the orders stand: status, stock, what is held, charges that stand for good."""
        async with self.database.statement() as connection:
            return list(await connection.execute(_STAND, {"ids": self.order_ids}))

    def teardown(self) -> None:
        """Let everything come to its end, without faults: nothing is left half done."""
        for _ in range(MOST_STEPS):
            self.do(self._taken_up())
            open_runs = [run for run in self.alive if run.step != "over"]
            if not open_runs:
                break
            for run in open_runs:
                self.do(self.shop.advance(run))
        for order_id in self.order_ids:
            run = Run(order_id)
            while run.step != "over":
                self.do(self.shop.advance(run))
        for row in self.do(self._stand()):
            fulfilled = row.status == "fulfilled"
            assert (row.standing, row.held) == (fulfilled, fulfilled), row
        self.money_and_stock_are_conserved()
        left = [row for row in self.do(self.shop.open_refunds()) if row.order_id in self.order_ids]
        assert left == []


async def _performed(activity: Any, request: Any) -> Any:
    return await ActivityEnvironment().run(activity, request)


def test_any_interleaving_of_runs_conserves_stock_and_charges_an_order_once(
    database_url: str,
) -> None:
    play(OrderMachine, database_url, examples=2, steps=8, seeds=(5, 8, 9, 12))
