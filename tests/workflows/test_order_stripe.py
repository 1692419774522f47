"""F12 with Stripe as the gateway, chosen by its key, against localstripe."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.payments import PaymentActivities
from durable_agents.clients.stripe_payments import StripeGateway
from durable_agents.db.engine import Database
from durable_agents.db.orders import reserve
from durable_agents.models.errors import OrderUndoneError, PaymentUnavailableError
from durable_agents.models.order import ChargeInput, OrderResult, ReserveInput, UndoInput
from durable_agents.models.payments import Payment
from durable_agents.runtime.settings import Settings
from tests.clients.localstripe import DECLINED, running_localstripe
from tests.conftest import running_workers
from tests.workflows import orders, runs
from workers.refund_reconciler import take_up_refunds

KEY = "sk_test_of_the_tests"
LEFT = orders.STOCK - orders.QUANTITY


@pytest.fixture
async def stripe(
    tmp_path: Path, time_skipping: WorkflowEnvironment, settings: Settings
) -> AsyncIterator[httpx2.AsyncClient]:
    """Workers that pay through localstripe, and a client that looks into it."""
    async with running_localstripe(tmp_path) as url:
        chosen = {"stripe_api_key": SecretStr(KEY), "stripe_api_base": url}
        paying = settings.model_copy(update=chosen)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            running_workers(time_skipping.client, paying) as resources,
            httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http,
        ):
            assert isinstance(resources.payments, StripeGateway)
            yield http


async def test_orders_are_charged_declined_and_refunded_through_stripe(
    stripe: httpx2.AsyncClient, time_skipping: WorkflowEnvironment, database: Database
) -> None:
    good = await orders.new_order(database)
    declined = await orders.new_order(database, DECLINED)
    refused = await orders.new_order(database, fulfilment="fails")

    result = await runs.result_of(await orders.start(time_skipping.client, good))
    kinds = [
        (await runs.failure_of(await orders.start(time_skipping.client, order_id)))[0]
        for order_id in (declined, refused)
    ]

    intents = (await stripe.get("/v1/payment_intents")).json()["data"]
    refunds = (await stripe.get("/v1/refunds")).json()["data"]
    by_order = {intent["metadata"]["order_id"]: intent for intent in intents}
    assert kinds == ["PaymentDeclinedError", "FulfilmentError"]
    assert result.payment == by_order[good]["id"]
    assert {key: intent["status"] for key, intent in by_order.items()} == {
        good: "succeeded",
        declined: "canceled",
        refused: "succeeded",
    }
    assert [refund["payment_intent"] for refund in refunds] == [by_order[refused]["id"]]
    assert (await orders.facts(database, good)).stock == LEFT
    for order_id in (declined, refused):
        facts = await orders.facts(database, order_id)
        assert (facts.status, facts.stock) == ("cancelled", orders.STOCK)


async def give_back(stripe: httpx2.AsyncClient, payment: str, cents: int) -> None:
    """Give a part back, as a person does who looks at Stripe's dashboard."""
    asked = {"payment_intent": payment, "amount": str(cents)}
    (await stripe.post("/v1/refunds", data=asked)).raise_for_status()


async def refunds_of(stripe: httpx2.AsyncClient, payment: str) -> list[int]:
    found = await stripe.get("/v1/refunds", params={"payment_intent": payment})
    return sorted(refund["amount"] for refund in found.json()["data"])


async def payment_of(stripe: httpx2.AsyncClient, order_id: str) -> str:
    intents = (await stripe.get("/v1/payment_intents", params={"limit": "100"})).json()["data"]
    return next(one["id"] for one in intents if one["metadata"]["order_id"] == order_id)


async def test_what_others_gave_back_in_part_is_completed_when_the_order_is_undone(
    stripe: httpx2.AsyncClient, time_skipping: WorkflowEnvironment, database: Database
) -> None:
    order_id = await orders.new_order(database, fulfilment="fails")

    async with orders.fulfilling(time_skipping.client, database, order_id) as handle:
        payment = await payment_of(stripe, order_id)
        await give_back(stripe, payment, 1000)
    kind, _ = await runs.failure_of(handle)

    assert kind == "FulfilmentError"
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    assert await refunds_of(stripe, payment) == [1000, 4997]
    assert "10.00 USD had been given back before" in (await runs.status_of(handle)).note


async def test_a_payment_that_is_given_back_in_part_before_its_order_is_fulfilled_fulfils_none(
    stripe: httpx2.AsyncClient, database: Database
) -> None:
    order_id = await orders.new_order(database)
    held = await reserve(database, ReserveInput(order_id=order_id, chain="a-run"))
    gateway = StripeGateway(api_key=KEY, api_base=str(stripe.base_url))
    activities = PaymentActivities(database, gateway)
    request = ChargeInput(
        order_id=order_id,
        generation=held.charge,
        reservation=held.generation,
        amount_cents=held.amount_cents,
        chain="a-run",
    )
    charged = await activities.charge_payment(request)
    await give_back(stripe, charged.payment_id, 1000)

    with pytest.raises(OrderUndoneError, match=r"10\.00 USD of 59\.97 USD were given back"):
        await activities.charge_payment(request)  # once more, as after a lost answer
    undone = await ActivityEnvironment().run(
        activities.refund_payment, UndoInput(order_id=order_id, generation=held.charge)
    )

    assert undone.happened
    assert "10.00 USD had been given back before" in undone.note
    assert await refunds_of(stripe, charged.payment_id) == [1000, 4997]
    await gateway.close()


async def test_a_refund_that_was_cut_off_at_stripe_is_done_before_the_order_is_charged_again(
    stripe: httpx2.AsyncClient,
    time_skipping: WorkflowEnvironment,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order_id, client = await orders.new_order(database, fulfilment="fails"), time_skipping.client
    at_gateway = asyncio.Event()

    async def away(
        self: StripeGateway,
        order_id: str,
        generation: int,
        *,
        since: datetime,
        asked_until: datetime,
    ) -> Payment | None:
        at_gateway.set()
        raise PaymentUnavailableError("Nobody answers.")

    with monkeypatch.context() as patch:
        patch.setattr(StripeGateway, "refund", away)
        cut_off = await orders.start(client, order_id)
        async with asyncio.timeout(runs.LONGEST_S):
            await at_gateway.wait()
        await cut_off.terminate()
        kind, message = await runs.failure_of(await orders.start(client, order_id))
    payment = await payment_of(stripe, order_id)
    before = await refunds_of(stripe, payment)
    await take_up_refunds(client, database, open_for=timedelta(0))
    successor = client.get_workflow_handle(f"refund-{order_id}-1", result_type=OrderResult)
    result = await runs.result_of(successor)
    await orders.set_fulfilment(database, order_id, "works")
    again = await runs.result_of(await orders.start(client, order_id))

    assert kind == "RefundUnderWayError"
    assert f"he refund of payment {payment} of order {order_id}" in message
    assert (before, result.undone) == ([], orders.CHARGED)
    assert await refunds_of(stripe, payment) == [5997]
    assert again.payment not in {payment, ""}
    assert await refunds_of(stripe, again.payment) == []
