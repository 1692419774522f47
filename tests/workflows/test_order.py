"""F12 with the real server and the real database; the payment gateway is the ledger."""

import asyncio

import pytest
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.ledger import (
    CHARGED_THEN_LOST,
    DECLINED,
    OK,
    UNAVAILABLE_ONCE,
)
from tests.workflows import orders, runs

pytestmark = pytest.mark.usefixtures("worker")

LEFT = orders.STOCK - orders.QUANTITY


@pytest.mark.parametrize("card", [OK, UNAVAILABLE_ONCE, CHARGED_THEN_LOST])
async def test_an_order_is_reserved_charged_and_fulfilled_once(
    client: Client, database: Database, card: str
) -> None:
    order_id = await orders.new_order(database, card)

    result = await runs.result_of(await orders.start(client, order_id))

    assert (result.order_id, result.status, result.done) == (order_id, "fulfilled", orders.ALL)
    assert result.confirmation.startswith("C-")
    assert result.payment.startswith("P-")
    assert await orders.facts(database, order_id) == orders.Facts(
        "fulfilled", LEFT, ((1, "charged"),)
    )


async def test_a_second_start_of_a_fulfilled_order_gets_the_same_confirmation(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database)
    first = await runs.result_of(await orders.start(client, order_id))

    second = await runs.result_of(await orders.start(client, order_id))

    assert (second.confirmation, second.payment) == (first.confirmation, first.payment)
    assert second.done == ()
    assert (await orders.facts(database, order_id)).payments == ((1, "charged"),)


async def test_two_runs_of_one_order_at_once_double_nothing(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database)

    handles = [await orders.start(client, order_id) for _ in range(4)]
    results = await asyncio.gather(*(runs.result_of(handle) for handle in handles))

    assert len({result.confirmation for result in results}) == 1
    assert await orders.facts(database, order_id) == orders.Facts(
        "fulfilled", LEFT, ((1, "charged"),)
    )


async def test_a_declined_card_leaves_no_charge_and_the_stock_as_it_was(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, DECLINED)
    handle = await orders.start(client, order_id)

    kind, message = await runs.failure_of(handle)

    assert kind == "PaymentDeclinedError"
    assert "order again with another card" in message
    told = await orders.outcome(handle)
    assert told.done == told.undone == ("reserve inventory",)
    facts = await orders.facts(database, order_id)
    assert (facts.status, facts.stock, facts.charged) == ("cancelled", orders.STOCK, 0)
    status = await runs.status_of(handle)
    assert (status.state, status.phase, status.error) == ("failed", "ended", message)


async def test_a_declined_order_can_be_ordered_again_and_is_charged(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, DECLINED)
    await runs.failure_of(await orders.start(client, order_id))
    await orders.set_card(database, order_id, OK)

    result = await runs.result_of(await orders.start(client, order_id))

    assert result.done == orders.ALL
    assert await orders.facts(database, order_id) == orders.Facts(
        "fulfilled", LEFT, ((1, "declined"), (2, "charged"))
    )


async def test_a_fulfilment_that_fails_gives_charge_and_stock_back(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, fulfilment="fails")
    first, second = await orders.start(client, order_id), None

    kind, message = await runs.failure_of(first)
    second = await orders.start(client, order_id)
    again, _ = await runs.failure_of(second)

    assert (kind, again) == ("FulfilmentError", "FulfilmentError")
    assert "The warehouse refuses" in message
    for handle in (first, second):
        told = await orders.outcome(handle)
        assert told.done == ("reserve inventory", "charge payment")
        assert told.undone == orders.CHARGED
    assert await orders.facts(database, order_id) == orders.Facts(
        "cancelled", orders.STOCK, ((1, "refunded"), (2, "refunded"))
    )


async def test_insufficient_stock_is_refused_and_nothing_is_done(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, stock=2)
    handle = await orders.start(client, order_id)

    kind, message = await runs.failure_of(handle)

    assert kind == "InsufficientStockError"
    assert "2 are in stock" in message
    told = await orders.outcome(handle)
    assert told.done == told.undone == ()
    assert await orders.facts(database, order_id) == orders.Facts("new", 2, ())


async def test_an_unknown_order_is_refused(client: Client) -> None:
    kind, message = await runs.failure_of(await orders.start(client, "no-such-order"))

    assert kind == "NotFoundError"
    assert "There is no order no-such-order" in message


@pytest.mark.parametrize(
    "given",
    [[], [{"order_id": ""}], [{"order_id": "a b"}], [{"order_id": "a\0"}], [{"order_id": 5}]],
    ids=str,
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    kind, message = await runs.failure_of(await runs.start(client, orders.WORKFLOW, *given))

    assert kind in {"ValidationError", "InputError"}
    assert message
