"""Charges and fulfilments of an order that another run has undone meanwhile."""

import pytest

from durable_agents.db import charges, orders
from durable_agents.db.engine import Database
from durable_agents.models.errors import OrderUndoneError
from durable_agents.models.order import (
    ChargeInput,
    FulfilInput,
    Fulfilment,
    Reservation,
    ReserveInput,
    UndoInput,
)
from tests.workflows.orders import new_order


async def reserved(database: Database, order_id: str, run: str) -> Reservation:
    return await orders.reserve(database, ReserveInput(order_id=order_id, chain=run))


def charging(order_id: str, held: Reservation, run: str) -> ChargeInput:
    return ChargeInput(
        order_id=order_id,
        generation=held.charge,
        reservation=held.generation,
        amount_cents=held.amount_cents,
        chain=run,
    )


async def charge(database: Database, order_id: str, held: Reservation, run: str) -> None:
    request = charging(order_id, held, run)
    await charges.begin_charge(database, request)
    assert await charges.mark_charged(database, request)


async def fulfil(database: Database, order_id: str, held: Reservation, run: str) -> Fulfilment:
    request = FulfilInput(
        order_id=order_id,
        reservation=held.generation,
        charge=held.charge,
        payment=f"P-{run}",
        chain=run,
    )
    return await orders.fulfil(database, request)


async def undo(database: Database, order_id: str, held: Reservation) -> None:
    refund = UndoInput(order_id=order_id, generation=held.charge)
    await charges.begin_refund(database, refund)
    await charges.settle_refund(database, refund, "nothing")
    await orders.release(database, UndoInput(order_id=order_id, generation=held.generation))


async def test_a_charge_of_an_order_that_was_undone_is_refused(database: Database) -> None:
    order_id = await new_order(database)
    mine = await reserved(database, order_id, "mine")
    await undo(database, order_id, mine)

    with pytest.raises(OrderUndoneError, match="nothing stands of it"):
        await charges.begin_charge(database, charging(order_id, mine, "mine"))


async def test_a_charge_of_an_order_that_was_undone_and_charged_anew_is_refused_as_undone(
    database: Database,
) -> None:
    order_id = await new_order(database)
    mine = await reserved(database, order_id, "mine")
    await charges.begin_charge(database, charging(order_id, mine, "mine"))
    await undo(database, order_id, mine)
    other = await reserved(database, order_id, "other")
    await charge(database, order_id, other, "other")

    with pytest.raises(OrderUndoneError, match="begun it anew"):
        await charges.begin_charge(database, charging(order_id, mine, "mine"))

    await undo(database, order_id, mine)  # once more: what the other run did stands
    done = await fulfil(database, order_id, other, "other")
    assert done.payment == "P-other"


async def test_fulfilling_an_order_that_was_undone_and_fulfilled_anew_is_refused_as_undone(
    database: Database,
) -> None:
    order_id = await new_order(database)
    mine = await reserved(database, order_id, "mine")
    await charge(database, order_id, mine, "mine")
    await undo(database, order_id, mine)
    other = await reserved(database, order_id, "other")
    await charge(database, order_id, other, "other")
    done = await fulfil(database, order_id, other, "other")

    with pytest.raises(OrderUndoneError, match="begun it anew"):
        await fulfil(database, order_id, mine, "mine")

    assert (await orders.look_up(database, order_id)) == done
