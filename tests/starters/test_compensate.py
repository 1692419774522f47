"""What becomes of decisions about a stuck compensation that come late, or to nobody."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.models import queues
from durable_agents.models.errors import ConfigurationError, DecisionRefusedError
from durable_agents.models.order import OrderInput
from durable_agents.models.saga import CompensationVerdict, TakenVerdict
from starters import compensate
from starters.compensate import stuck_in, submit
from tests.workflows import orders, runs

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
async def parked(client: Client, database: Database) -> AsyncIterator[orders.Handle]:
    """An order whose refund the gateway refuses."""
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)
    await waits(handle)
    yield handle
    if (await runs.status_of(handle)).state == "running":
        await handle.terminate()


async def waits(handle: orders.Handle) -> None:
    async def stuck() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(stuck, "the refund is parked")


def retry(by: str, step: str = "charge payment", attempt: int = 0) -> CompensationVerdict:
    return CompensationVerdict(verdict="retry", by=by, step=step, attempt=attempt)


def abandon(by: str, reason: str = "by hand", attempt: int = 0) -> CompensationVerdict:
    return CompensationVerdict(verdict="abandon", by=by, reason=reason, attempt=attempt)


async def test_of_two_people_who_decide_at_once_one_counts_and_the_other_is_told_whose(
    client: Client, parked: orders.Handle
) -> None:
    handle, stuck = await stuck_in(client, parked.id)
    decisions = (abandon("ann", "paid out", stuck.attempt), abandon("bob", "no", stuck.attempt))

    ends = await asyncio.gather(
        *(submit(handle, decision) for decision in decisions), return_exceptions=True
    )
    await runs.failure_of(parked)

    (taken,) = [end for end in ends if isinstance(end, TakenVerdict)]
    (refused,) = [end for end in ends if isinstance(end, DecisionRefusedError)]
    assert f"{taken.sentence()[1:]} already, at " in refused.message or "has ended" in str(refused)
    (given_up,) = (await orders.outcome(parked)).abandoned
    assert (given_up.by, given_up.reason) == (taken.by, taken.reason)


async def test_a_decision_about_a_try_that_somebody_had_repeated_meanwhile_is_refused_by_name(
    client: Client, parked: orders.Handle
) -> None:
    handle, seen = await stuck_in(client, parked.id)
    await submit(handle, retry("ann", attempt=seen.attempt))
    await waits(parked)

    with pytest.raises(DecisionRefusedError, match=r"was retried by ann already.*failed as well"):
        await submit(handle, abandon("bob", attempt=seen.attempt))

    _, again = await stuck_in(client, parked.id)
    assert (seen.attempt, again.attempt) == (1, 2)


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (retry("kim", "reserve inventory"), "It is the step 'charge payment' that is stuck"),
        (abandon("kim", "  "), "give a reason"),
        ({"verdict": "forget"}, "verdict Input should be 'retry' or 'abandon'"),
    ],
)
async def test_a_decision_that_does_not_fit_is_refused_and_changes_nothing(
    client: Client, parked: orders.Handle, decision: CompensationVerdict, why: str
) -> None:
    handle, before = await stuck_in(client, parked.id)

    with pytest.raises(DecisionRefusedError, match=why):
        await submit(handle, decision)

    _, after = await stuck_in(client, parked.id)
    assert after == before
    assert (await runs.status_of(parked)).note == ""


async def test_a_decision_that_comes_when_another_has_ended_the_run_is_refused(
    client: Client, parked: orders.Handle, database: Database
) -> None:
    handle, stuck = await stuck_in(client, parked.id)
    order_id = parked.id.split("-")[1]
    await orders.set_card(database, order_id, OK)
    await submit(handle, retry("ann"))
    await runs.failure_of(parked)

    with pytest.raises(DecisionRefusedError, match=r"has ended \(failed\)"):
        await submit(handle, abandon("bob", attempt=stuck.attempt))


async def test_a_decision_that_nobody_answers_is_not_taken(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compensate, "UPDATE_TIMEOUT_S", 0.5)
    lonely = await client.start_workflow(
        orders.WORKFLOW,
        OrderInput(order_id="1001"),
        id=f"lonely-{secrets.token_hex(4)}",
        task_queue=f"{queues.WORKFLOWS}-nobody",
    )

    with pytest.raises(ConfigurationError, match="No worker answers"):
        await submit(lonely, retry("kim"))

    await lonely.terminate()
