"""While the refund of an order is not settled, the order is not charged a second time."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from durable_agents.db import charges, refunds
from durable_agents.models.errors import RefundUnderWayError
from durable_agents.models.order import ChargeInput, OrderResult, UndoInput
from durable_agents.models.saga import Undone
from tests.workflows import orders, runs
from tests.workflows.scripted_orders import LEFT, Script, World, nothing, stuck
from workers.refund_reconciler import take_up_refunds

BY_HAND = {"reason": "paid out by hand", "by": "kim"}


async def open_refunds(world: World, order_id: str) -> list[refunds.OpenRefund]:
    async with world.database.statement() as connection:
        rows = await refunds.open_refunds(
            connection, world.client.namespace, older_than=timedelta(0)
        )
    return [row for row in rows if row.order_id == order_id]


async def refused(world: World, order_id: str, run: str) -> None:
    """Assert that another run of the order is refused, and changes nothing."""
    before = await orders.facts(world.database, order_id)

    handle = await orders.start(world.client, order_id)
    kind, message = await runs.failure_of(handle)

    assert kind == "RefundUnderWayError"
    assert f"of order {order_id} is still under way (run {run})" in message
    assert f"`durable-agents compensate {run}`" in message
    assert (await orders.outcome(handle)).done == ()
    assert await orders.facts(world.database, order_id) == before


async def taken_up(world: World, order_id: str) -> orders.Handle:
    """The run that takes up what was cut off."""
    await take_up_refunds(world.client, world.database, open_for=timedelta(0))
    (row,) = await open_refunds(world, order_id) or [None]
    workflow_id = row.workflow_id if row else f"refund-{order_id}-1"
    assert workflow_id == f"refund-{order_id}-1"
    return world.client.get_workflow_handle(workflow_id, result_type=OrderResult)


async def fulfilled_anew(world: World, order_id: str) -> None:
    """Assert that the order can be ordered again, and is charged once in all."""
    await orders.set_fulfilment(world.database, order_id, "works")
    result = await runs.result_of(await orders.start(world.client, order_id))

    assert result.done == orders.ALL
    assert await orders.facts(world.database, order_id) == orders.Facts(
        "fulfilled", LEFT, ((1, "refunded"), (2, "charged"))
    )


async def held_at_its_refund(world: World) -> tuple[str, orders.Handle, asyncio.Event]:
    """An order that is undone, whose refund is at the gateway until the event is set."""
    at_gateway, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        at_gateway.set()
        await go_on.wait()

    order_id = await world.order(Script(before_refund=hold), fulfilment="fails")
    handle = await orders.start(world.client, order_id)
    await at_gateway.wait()
    return order_id, handle, go_on


async def test_an_order_whose_refund_is_parked_is_not_charged_again_before_it_is_settled(
    world: World,
) -> None:
    order_id, handle = await stuck(world)

    await refused(world, order_id, handle.id)
    (row,) = await open_refunds(world, order_id)
    world.gateway.scripts[order_id].refunds = True
    await handle.signal("retry_compensation")
    await runs.failure_of(handle)

    assert (row.what(), row.run_id) == (
        f"the refund of payment {row.payment} of order {order_id}",
        handle.first_execution_run_id,
    )
    assert row.payment.startswith("P-")
    assert await open_refunds(world, order_id) == []
    await fulfilled_anew(world, order_id)


async def test_an_order_whose_refund_is_at_the_gateway_is_not_charged_again(world: World) -> None:
    order_id, handle, go_on = await held_at_its_refund(world)

    await refused(world, order_id, handle.id)
    go_on.set()
    await runs.failure_of(handle)

    await fulfilled_anew(world, order_id)


async def test_a_run_that_is_cancelled_during_its_refund_settles_it_first(world: World) -> None:
    order_id, handle, go_on = await held_at_its_refund(world)

    await handle.cancel()
    await refused(world, order_id, handle.id)
    go_on.set()
    kind, _ = await runs.failure_of(handle)

    assert kind == "FulfilmentError"
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    assert await open_refunds(world, order_id) == []
    await fulfilled_anew(world, order_id)


async def test_what_a_terminate_cut_off_is_taken_up_by_a_run_of_its_own(world: World) -> None:
    order_id, handle = await stuck(world)
    await handle.terminate()

    await refused(world, order_id, handle.id)
    world.gateway.scripts[order_id].refunds = True
    successor = await taken_up(world, order_id)
    result = await runs.result_of(successor)

    assert (result.status, result.undone) == ("undone", orders.CHARGED)
    assert await orders.facts(world.database, order_id) == orders.Facts(
        "cancelled", orders.STOCK, ((1, "refunded"),)
    )
    status = await runs.status_of(successor)
    assert (status.state, status.phase) == ("completed", "ended")
    await fulfilled_anew(world, order_id)


async def test_what_was_cut_off_at_the_gateway_is_given_back_once(world: World) -> None:
    order_id, handle, go_on = await held_at_its_refund(world)
    await handle.terminate()
    world.gateway.scripts[order_id].before_refund = nothing

    await runs.result_of(await taken_up(world, order_id))
    go_on.set()

    await fulfilled_anew(world, order_id)


async def test_a_run_that_takes_up_a_refund_is_parked_refused_and_taken_up_like_any(
    world: World,
) -> None:
    order_id, handle = await stuck(world)
    await handle.terminate()
    successor = await taken_up(world, order_id)

    async def parked() -> bool:
        return bool((await runs.status_of(successor)).waiting_for)

    await runs.until(parked, "the refund is parked again", within=20)
    await refused(world, order_id, successor.id)
    first = (await successor.describe()).run_id
    await successor.cancel()  # what is left over is undone all the same
    await taken_up(world, order_id)
    still = (await successor.describe()).run_id
    await successor.terminate()
    world.gateway.scripts[order_id].refunds = True
    result = await runs.result_of(await taken_up(world, order_id))

    assert still == first  # nobody disturbs a run that waits for a person
    assert result.undone == orders.CHARGED
    await fulfilled_anew(world, order_id)


async def test_a_refund_that_a_person_gave_up_is_settled_and_nobody_gives_it_back_later(
    world: World,
) -> None:
    order_id, handle = await stuck(world)

    await handle.signal("abandon_compensation", BY_HAND)
    await runs.failure_of(handle)
    world.gateway.scripts[order_id].refunds = True
    undone = await charges.begin_refund(world.database, UndoInput(order_id=order_id, generation=1))
    await take_up_refunds(world.client, world.database, open_for=timedelta(0))
    await orders.set_fulfilment(world.database, order_id, "works")
    result = await runs.result_of(await orders.start(world.client, order_id))

    assert isinstance(undone, Undone)
    assert "was given up by kim (paid out by hand)" in undone.note
    assert result.done == orders.ALL
    facts = await orders.facts(world.database, order_id)
    assert facts == orders.Facts("fulfilled", LEFT, ((1, "charged"), (2, "charged")))


async def test_a_charge_that_begins_late_is_refused_while_a_refund_is_open(world: World) -> None:
    order_id, handle = await stuck(world)
    request = ChargeInput(order_id=order_id, generation=2, reservation=1, amount_cents=5997)

    with pytest.raises(RefundUnderWayError, match=handle.id):
        await charges.begin_charge(world.database, request)

    await handle.terminate()
    assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_an_order_that_another_run_undid_is_told_as_undone(world: World) -> None:
    at_gateway, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def hold() -> None:
        at_gateway.release()
        await go_on.wait()

    script = Script(before_charge=hold)
    order_id = await world.order(script)
    first, second = [await orders.start(world.client, order_id) for _ in range(2)]
    async with asyncio.timeout(runs.LONGEST_S):
        await at_gateway.acquire()
        await at_gateway.acquire()
    request = UndoInput(order_id=order_id, generation=1)
    await charges.begin_refund(world.database, request)
    go_on.set()
    for handle in (first, second):
        await runs.failure_of(handle)

    told = [await orders.outcome(handle) for handle in (first, second)]

    assert [one.undone for one in told] == [orders.CHARGED] * 2
    notes = sorted(one.notes for one in told)
    assert notes == [(), (f"what order {order_id} had reserved was back in stock before",)]
    assert (await orders.facts(world.database, order_id)).stock == orders.STOCK
