"""F12 with Stripe as the gateway, chosen by its key, against localstripe."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from durable_agents.clients.stripe_payments import StripeGateway
from durable_agents.db.engine import Database
from durable_agents.runtime.settings import Settings
from tests.clients.localstripe import DECLINED, running_localstripe
from tests.conftest import running_workers
from tests.workflows import orders, runs

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
