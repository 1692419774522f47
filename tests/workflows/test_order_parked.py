"""The saga of F12 when a compensation keeps failing, and a person decides about it."""

import asyncio

from durable_agents.db import error_log
from tests.workflows import orders, runs
from tests.workflows.scripted_orders import Script, World, stuck, undone


async def test_a_compensation_that_keeps_failing_is_parked_and_names_itself(world: World) -> None:
    order_id, handle = await stuck(world)

    status = await runs.status_of(handle)
    described = await handle.describe()

    assert (status.state, status.phase) == ("running", "compensating")
    assert "'charge payment'" in status.waiting_for
    assert "retry_compensation" in status.waiting_for
    assert described.search_attributes["Phase"] == ["compensating"]
    assert "warehouse refuses" in status.error
    assert (await orders.facts(world.database, order_id)).charged == 1
    await handle.terminate()


async def test_a_person_has_a_parked_compensation_tried_again(world: World) -> None:
    order_id, handle = await stuck(world)

    world.gateway.scripts[order_id].refunds = True
    await handle.signal("retry_compensation")
    kind, _ = await runs.failure_of(handle)

    assert kind == "FulfilmentError"
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    assert (await handle.describe()).search_attributes["Phase"] == ["ended"]
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_person_gives_a_parked_compensation_up_and_that_is_recorded(world: World) -> None:
    order_id, handle = await stuck(world)

    await handle.cancel()  # changes nothing: what is begun is undone
    await handle.signal("abandon_compensation", {"by": "kim"})  # no reason: dropped

    async def dropped() -> bool:
        return "give a reason" in (await runs.status_of(handle)).note

    await runs.until(dropped, "the signal without a reason is dropped", within=20)
    status = await runs.status_of(handle)
    await handle.signal("abandon_compensation", {"reason": "paid out by hand", "by": "kim"})
    kind, _ = await runs.failure_of(handle)

    assert status.phase == "compensating"
    assert kind == "FulfilmentError"
    told = await orders.outcome(handle)
    assert told.undone == ("reserve inventory",)
    assert [(given.step, given.by) for given in told.abandoned] == [("charge payment", "kim")]
    async with world.database.statement() as connection:
        (logged,) = await error_log.list_errors(connection, workflow_id=handle.id)
    assert logged.type == "CompensationAbandoned"
    assert "paid out by hand" in logged.message
    facts = await orders.facts(world.database, order_id)
    assert (facts.status, facts.stock, facts.charged) == ("cancelled", orders.STOCK, 1)


async def test_giving_one_up_with_words_the_database_refuses_still_undoes_the_rest(
    world: World,
) -> None:
    order_id, handle = await stuck(world)

    await handle.signal("abandon_compensation", {"reason": "closed\x00card", "by": "kim"})
    await runs.failure_of(handle)

    assert (await orders.outcome(handle)).undone == ("reserve inventory",)
    assert (await orders.facts(world.database, order_id)).stock == orders.STOCK


async def test_a_signal_that_nobody_waits_for_is_dropped(world: World) -> None:
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        waiting.set()
        await go_on.wait()

    order_id = await world.order(Script(before_charge=hold))
    handle = await orders.start(world.client, order_id)
    await waiting.wait()

    await handle.signal("retry_compensation")
    await handle.signal("abandon_compensation", {"reason": "x"})

    async def dropped() -> bool:
        return "no compensation is stuck" in (await runs.status_of(handle)).note

    await runs.until(dropped, "the stray signals are dropped", within=20)
    await handle.signal("retry_compensation", {"reason": 5})
    go_on.set()

    assert (await runs.result_of(handle)).status == "fulfilled"
    assert "reason Input should be a valid string" in (await runs.status_of(handle)).note
