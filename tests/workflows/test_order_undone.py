"""The saga of F12 when the gateway fails, and when several runs work on one order."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.common import RetryPolicy

from durable_agents.db import charges
from durable_agents.db.ledger import UNAVAILABLE
from durable_agents.db.orders import release as undo_stock
from durable_agents.models.errors import PaymentUnavailableError
from durable_agents.models.order import UndoInput
from tests.workflows import orders, runs
from tests.workflows.scripted_orders import LEFT, Script, World, nothing, undone
from workflows import policies


async def test_a_gateway_that_never_answers_leaves_nothing(world: World) -> None:
    order_id = await world.order(Script(), UNAVAILABLE)

    kind, message = await runs.failure_of(await orders.start(world.client, order_id))

    assert kind == "PaymentUnavailableError"
    assert "does not answer" in message
    await undone(world, order_id, ())


async def test_a_charge_whose_outcome_stays_unknown_is_given_back(world: World) -> None:
    order_id = await world.order(Script(charges_lost=1000))
    handle = await orders.start(world.client, order_id)

    kind, _ = await runs.failure_of(handle)

    assert kind == "PaymentUnavailableError"
    told = await orders.outcome(handle)
    assert told.done == ("reserve inventory",)
    assert told.undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_gateway_that_is_away_for_a_minute_costs_no_order(world: World) -> None:
    order_id = await world.order(Script(away=7))  # 1 + 2 + 4 + 8 + 16 + 30 + 30 seconds

    result = await runs.result_of(await orders.start(world.client, order_id))

    assert result.done == orders.ALL
    assert await orders.facts(world.database, order_id) == orders.Facts(
        "fulfilled", LEFT, ((1, "charged"),)
    )


@pytest.mark.parametrize("policy", [policies.DATABASE, policies.PAYMENT], ids=["db", "payment"])
def test_a_step_that_writes_to_the_database_is_tried_for_about_five_minutes(
    policy: RetryPolicy,
) -> None:
    first, most = policy.initial_interval, policy.maximum_interval
    assert most is not None

    waits = [
        min(first * policy.backoff_coefficient**number, most)
        for number in range(policy.maximum_attempts - 1)
    ]

    assert timedelta(minutes=4.5) < sum(waits, timedelta()) < timedelta(minutes=6)


async def test_a_run_whose_order_another_has_undone_and_fulfilled_says_so_and_touches_nothing(
    world: World,
) -> None:
    script = Script()
    order_id = await world.order(script)
    others: list[orders.Handle] = []

    async def undo_and_fulfil() -> None:
        script.before_charge = nothing
        request = UndoInput(order_id=order_id, generation=1)
        await charges.begin_refund(world.database, request)
        await charges.settle_refund(world.database, request, "nothing")
        await undo_stock(world.database, request)
        others.append(await orders.start(world.client, order_id))
        await runs.result_of(others[0])
        raise PaymentUnavailableError("Nobody answers.")

    script.before_charge = undo_and_fulfil
    handle = await orders.start(world.client, order_id)

    kind, message = await runs.failure_of(handle)

    assert kind == "OrderUndoneError"
    assert "begun it anew" in message
    assert (await runs.result_of(others[0])).done == orders.ALL
    facts = await orders.facts(world.database, order_id)
    assert (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)


async def test_a_second_run_after_one_that_was_terminated_goes_on_where_it_was(
    world: World,
) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        held.set()

    order_id = await world.order(Script(after_charge=hold, charges_lost=1000))
    first = await orders.start(world.client, order_id)
    await held.wait()
    await first.terminate()
    world.gateway.scripts[order_id] = Script()

    result = await runs.result_of(await orders.start(world.client, order_id))

    assert result.done == orders.ALL
    facts = await orders.facts(world.database, order_id)
    assert (facts.stock, facts.payments) == (LEFT, ((1, "charged"),))


async def test_a_charge_that_comes_after_the_order_was_undone_is_given_back(world: World) -> None:
    script = Script()
    order_id = await world.order(script)

    async def undo_meanwhile() -> None:
        request = UndoInput(order_id=order_id, generation=1)
        await charges.begin_refund(world.database, request)

    script.after_charge = undo_meanwhile
    kind, message = await runs.failure_of(await orders.start(world.client, order_id))

    assert kind == "OrderUndoneError"
    assert "given back" in message
    await undone(world, order_id, ((1, "refunded"),))
