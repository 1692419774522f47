"""A drill: many orders, while workers are killed at random and the gateway fails at random.

For every order either its charge and its fulfilment both stand, once, or neither does and its
stock is back. DRILL_ORDERS says how many; the count is printed (`pytest -s`).
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.db.ledger import DECLINED, FLAKY
from tests.workflows import orders, runs
from tests.world import Supervisor, World, own_world, supervisor

ORDERS = int(os.environ.get("DRILL_ORDERS", "60"))
KILLS = 3  # of each worker: its supervisor gives up at the fifth within a minute
LONGEST_S = 300

STANDING = text(
    """
    SELECT o.order_id, o.status, p.stock,
           (SELECT count(*) FROM payments y WHERE y.order_id = o.order_id AND y.status = 'charged'),
           (SELECT count(*) FROM payments y WHERE y.order_id = o.order_id AND y.status = 'refunded'
            AND y.amount_usd > 0)
    FROM orders o JOIN products p USING (sku) WHERE o.order_id = ANY(:ids)
    """
)


@pytest.fixture
async def world(_no_foreign_environment: None) -> AsyncIterator[World]:
    async with own_world() as running:
        yield running


async def test_charge_and_fulfilment_both_stand_once_or_neither_does(world: World) -> None:
    ids = [await _an_order(world.database, number) for number in range(ORDERS)]
    began = time.monotonic()

    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(supervisor(world)) for _ in range(2)]
        handles = [await orders.start(world.client, order_id) for order_id in ids]
        killing = asyncio.ensure_future(_kill(workers))
        async with asyncio.timeout(LONGEST_S):
            ends = await asyncio.gather(*(_end(handle) for handle in handles))
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)

    took, counts = time.monotonic() - began, Counter(ends)
    async with world.database.statement() as connection:
        rows = (await connection.execute(STANDING, {"ids": ids})).all()
    refunds = sum(row[4] for row in rows)
    print(f"{ORDERS} orders in {took:.0f} s: {dict(counts)}, {refunds} refunds")
    wrong = [tuple(row) for row in rows if not _is_whole(*row[1:4])]
    assert len(rows) == ORDERS
    assert wrong == []
    assert counts["fulfilled"] == sum(row[1] == "fulfilled" for row in rows)
    assert min(counts["fulfilled"], counts["failed"], refunds) > 0


def _is_whole(status: str, stock: int, charges: int) -> bool:
    if status == "fulfilled":
        return (stock, charges) == (orders.STOCK - orders.QUANTITY, 1)
    return (status, stock, charges) == ("cancelled", orders.STOCK, 0)


async def _an_order(database: Database, number: int) -> str:
    """Of ten orders one is declined, two cannot be fulfilled; the gateway fails them all."""
    card = DECLINED if number % 10 == 0 else FLAKY
    fulfilment = "fails" if number % 10 in {1, 2} else "works"
    return await orders.new_order(database, card, fulfilment=fulfilment)


async def _end(handle: orders.Handle) -> str:
    """Wait for the end of a run; a person has what is stuck tried again."""
    result = asyncio.ensure_future(handle.result())
    while not (await asyncio.wait({result}, timeout=30))[0]:
        with suppress(RPCError):  # nobody answers while its worker is away: asked again
            if (await runs.status_of(handle)).waiting_for:
                await handle.signal("retry_compensation")
    try:
        return (await result).status
    except WorkflowFailureError:
        return "failed"


async def _kill(workers: Sequence[Supervisor]) -> None:
    """Kill a worker now and then, without warning."""
    for number in range(KILLS * len(workers)):
        await asyncio.sleep(random.uniform(0.3, 2))
        os.kill(await workers[number % len(workers)].worker(), signal.SIGKILL)
