"""The saga of F12 when the run is cancelled, or its deadline passes."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from durable_agents.models.errors import PaymentUnavailableError
from tests.workflows import orders, runs
from tests.workflows.scripted_orders import LEFT, Script, World, undone


@pytest.mark.parametrize("moment", ["before_charge", "after_charge"])
async def test_a_cancel_while_the_charge_is_at_the_gateway_gives_it_back(
    world: World, moment: str
) -> None:
    at_gateway, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        at_gateway.set()
        await go_on.wait()

    order_id = await world.order(replace(Script(), **{moment: hold}))
    handle = await orders.start(world.client, order_id)
    await at_gateway.wait()

    await handle.cancel()
    await asyncio.sleep(2.5)  # the activity hears of it with its first heartbeat
    before = await orders.facts(world.database, order_id)
    go_on.set()
    kind, _ = await runs.failure_of(handle)

    assert before.stock == LEFT  # nothing was undone while the charge was under way
    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_charge_that_fails_after_the_cancel_is_not_tried_again(world: World) -> None:
    at_gateway, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        at_gateway.set()
        await go_on.wait()
        raise PaymentUnavailableError("Nobody answers.")

    order_id = await world.order(Script(before_charge=hold))
    handle = await orders.start(world.client, order_id)
    await at_gateway.wait()

    await handle.cancel()
    await asyncio.sleep(2.5)  # the activity hears of it with its first heartbeat
    go_on.set()
    kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert await runs.attempts_of(handle, "charge-payment") == 1
    await undone(world, order_id, ())


async def test_a_deadline_while_the_charge_is_at_the_gateway_gives_it_back(world: World) -> None:
    async def hold() -> None:
        await asyncio.sleep(3)

    order_id = await world.order(Script(before_charge=hold))
    handle = await orders.start(world.client, order_id, deadline_s=1)

    kind, _ = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_deadline_and_then_a_cancel_wait_for_the_charge_that_is_at_the_gateway(
    world: World,
) -> None:
    at_gateway, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        at_gateway.set()
        await go_on.wait()

    order_id = await world.order(Script(before_charge=hold))
    handle = await orders.start(world.client, order_id, deadline_s=0.5)
    await at_gateway.wait()

    async def deadline_passed() -> bool:
        fired = EventType.EVENT_TYPE_TIMER_FIRED
        return await runs.count_of(handle, fired) == 1

    await runs.until(deadline_passed, "the deadline passes", within=20)
    await handle.cancel()
    status = await runs.status_of(handle)
    before = await orders.facts(world.database, order_id)
    go_on.set()
    await runs.failure_of(handle)

    assert (before.stock, status.step) == (LEFT, "charge payment")
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_cancel_before_the_reservation_leaves_nothing_or_all(world: World) -> None:
    order_id = await world.order(Script())
    handle = await orders.start(world.client, order_id)
    await handle.cancel()

    with suppress(WorkflowFailureError):
        await runs.result_of(handle)

    facts = await orders.facts(world.database, order_id)
    nothing_stands = (facts.stock, facts.charged) == (orders.STOCK, 0)
    assert nothing_stands or (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)


async def test_a_cancel_that_comes_too_late_undoes_nothing(world: World) -> None:
    order_id = await world.order(Script())

    async with orders.fulfilling(world.client, world.database, order_id) as handle:
        await handle.cancel()
    result = await runs.result_of(handle)

    assert result.done == orders.ALL
    facts = await orders.facts(world.database, order_id)
    assert (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)
    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_a_cancel_that_stops_the_fulfilment_undoes_everything(world: World) -> None:
    order_id = await world.order(Script())

    async with orders.fulfilling(world.client, world.database, order_id) as handle:
        await handle.cancel()
        await asyncio.sleep(3)  # the activity hears of it with its heartbeat
    kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_of_two_runs_of_one_order_one_is_cancelled_and_the_order_stays_whole(
    world: World,
) -> None:
    at_gateway, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def hold() -> None:
        at_gateway.release()
        await go_on.wait()

    order_id = await world.order(Script(before_charge=hold))
    first, second = [await orders.start(world.client, order_id) for _ in range(2)]
    await at_gateway.acquire()
    await at_gateway.acquire()

    await first.cancel()
    await asyncio.sleep(2.5)
    go_on.set()
    for handle in (first, second):
        with suppress(WorkflowFailureError):
            await runs.result_of(handle)

    facts = await orders.facts(world.database, order_id)
    stands = (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)
    assert stands or (facts.status, facts.stock, facts.charged) == ("cancelled", orders.STOCK, 0)
