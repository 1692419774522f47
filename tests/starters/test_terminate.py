"""What is refused to be terminated, and what is written down when it is given up."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.db.refunds import open_refunds
from durable_agents.models.errors import DecisionRefusedError, NotFoundError
from durable_agents.models.saga import ABANDONED
from starters.choosing import Chosen
from starters.inspect import find_run
from starters.terminate import UNKNOWN, Ending, end, left_to_undo
from tests.workflows import orders, runs
from workers.refund_reconciler import take_up_refunds

pytestmark = pytest.mark.usefixtures("worker")


def ending(client: Client, database: Database, *, abandon: bool = False) -> Ending:
    return Ending(client, database, "kim", "paid out by hand" if abandon else "", abandon)


def chosen(handle: orders.Handle) -> Chosen:
    return Chosen(handle.id, handle.first_execution_run_id or "", "", "")


async def parked_order(client: Client, database: Database) -> tuple[str, orders.Handle]:
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)

    async def parked() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(parked, "the refund is parked")
    return order_id, handle


async def test_a_run_that_has_done_what_it_would_undo_is_not_terminated(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, OK)

    async with orders.fulfilling(client, database, order_id) as handle:
        with pytest.raises(DecisionRefusedError) as told:
            await end(ending(client, database), chosen(handle))

    assert "would undo reserve inventory, charge payment" in told.value.message
    assert (await runs.result_of(handle)).confirmation


async def test_a_charge_that_is_under_way_counts_as_done(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, OK)
    async with database.transaction() as connection:
        await connection.execute(
            text("SELECT 1 FROM orders WHERE order_id = :it FOR UPDATE"), {"it": order_id}
        )
        handle = await orders.start(client, order_id)
        await runs.until_step(handle, "reserve inventory")

        left = await left_to_undo(client, await find_run(client, handle.id))

    assert left == ("reserve inventory",)
    await runs.result_of(handle)
    assert (await orders.outcome(handle)).open == ()


async def test_what_is_given_up_is_written_down_and_no_worker_takes_the_refund_up(
    client: Client, database: Database
) -> None:
    order_id, handle = await parked_order(client, database)

    done = await end(ending(client, database, abandon=True), chosen(handle))
    await take_up_refunds(client, database, open_for=timedelta(0))

    seen = await handle.describe()
    assert seen.status == WorkflowExecutionStatus.TERMINATED
    assert done.facts["stays_done"] == ["reserve inventory", "charge payment"]
    assert order_id in done.facts["refunds_given_up"][0]
    async with database.statement() as connection:
        (error,) = await list_errors(connection, workflow_id=handle.id)
        still_open = await open_refunds(connection, client.namespace, older_than=timedelta(0))
    assert error.type == ABANDONED
    assert "kim terminated the run and left reserve inventory, charge payment done" in error.message
    assert order_id not in {refund.order_id for refund in still_open}


async def test_an_order_whose_run_was_given_up_goes_on_from_its_charge(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, OK)
    async with orders.fulfilling(client, database, order_id) as handle:
        await end(ending(client, database, abandon=True), chosen(handle))

    again = await runs.result_of(await orders.start(client, order_id))

    facts = await orders.facts(database, order_id)
    assert again.confirmation
    assert (facts.status, facts.charged) == ("fulfilled", 1)
    assert facts.stock == orders.STOCK - orders.QUANTITY


async def test_a_run_that_undoes_nothing_is_terminated_at_once(
    client: Client, database: Database
) -> None:
    handle = await runs.start(client, "ReviewWorkflow", {"task_id": "task-5"})
    await runs.until_step(handle, "wait for approval 1")

    done = await end(ending(client, database), chosen(handle))

    assert done.facts["stays_done"] == []
    assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED
    with pytest.raises(NotFoundError, match="has ended already"):
        await end(ending(client, database), chosen(handle))


async def test_a_saga_that_no_worker_answers_for_is_taken_to_have_done_something(
    client: Client, database: Database
) -> None:
    handle = await client.start_workflow(
        orders.WORKFLOW, {"order_id": "x"}, id="order-nobody", task_queue="nobody-works-here"
    )

    left = await left_to_undo(client, await find_run(client, handle.id))

    assert left == (UNKNOWN,)
    await handle.terminate()
