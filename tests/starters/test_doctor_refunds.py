"""What `durable-agents doctor` says of refunds that are not settled."""

from datetime import timedelta

import pytest
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import Settings
from starters.doctor import look_at_refunds
from tests.workflows import orders, runs
from workers.refund_reconciler import take_up_refunds

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_refund_whose_run_was_cut_off_is_told_until_it_is_taken_up(
    client: Client, settings: Settings, database: Database
) -> None:
    await take_up_refunds(client, database, open_for=timedelta(0))  # what other tests left
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)

    async def parked() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(parked, "the refund is parked")
    while_it_waits = await look_at_refunds(client, settings)
    await handle.terminate()

    with pytest.raises(ConfigurationError) as told:
        await look_at_refunds(client, settings)
    await orders.set_card(database, order_id, OK)
    await take_up_refunds(client, database, open_for=timedelta(0))

    assert "in a run that works or waits for a person" in while_it_waits
    assert f"of order {order_id} (run {handle.id})" in told.value.message
    assert "`python -m workers`" in told.value.message
    assert "under way" in await look_at_refunds(client, settings)
