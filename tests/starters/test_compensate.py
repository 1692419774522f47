"""What `durable-agents compensate` does with a decision that comes late, or that nobody reads."""

import pytest
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.ledger import REFUND_REFUSED
from durable_agents.models.errors import DecisionRefusedError
from durable_agents.models.saga import CompensationDecision
from starters import compensate
from starters.compensate import send, stuck_in
from tests.workflows import orders, runs

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
async def parked(client: Client, database: Database) -> orders.Handle:
    """An order whose refund the gateway refuses."""
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)

    async def waits() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(waits, "the refund is parked")
    return handle


async def test_a_decision_about_another_step_is_dropped_and_the_command_says_so(
    client: Client, parked: orders.Handle
) -> None:
    handle, state, _ = await stuck_in(client, parked.id)
    about = CompensationDecision(reason="x", by="kim", step="reserve inventory")

    with pytest.raises(DecisionRefusedError, match="it is the step 'charge payment' that is stuck"):
        await send(handle, "abandon_compensation", about, state)

    _, after, stuck = await stuck_in(client, parked.id)
    assert (after.dropped, after.taken, stuck.step) == (1, 0, "charge payment")
    await parked.terminate()


async def test_a_decision_for_a_run_that_has_ended_meanwhile_is_refused(
    client: Client, parked: orders.Handle
) -> None:
    handle, state, stuck = await stuck_in(client, parked.id)
    await parked.terminate()

    with pytest.raises(DecisionRefusedError, match=r"has ended \(terminated\)"):
        await send(
            handle, "retry_compensation", CompensationDecision(by="kim", step=stuck.step), state
        )


async def test_a_decision_that_nobody_has_read_so_far_is_told_apart(
    client: Client, parked: orders.Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, state, _ = await stuck_in(client, parked.id)
    monkeypatch.setattr(compensate, "READ_WITHIN_S", 0)

    unread = await send(handle, "retry_compensation", CompensationDecision(by="kim"), state)

    assert unread is None
    await parked.terminate()
