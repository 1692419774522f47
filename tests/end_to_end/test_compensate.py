"""`durable-agents compensate`: what it says of a stuck compensation, decides, and refuses."""

import asyncio
import secrets

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.db import error_log
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.models import queues
from durable_agents.models.order import OrderInput
from durable_agents.models.tracked import TrackedInput
from tests.commanding import Commands
from tests.workflows import orders, runs

pytestmark = pytest.mark.usefixtures("service")


async def stuck(client: Client, database: Database) -> tuple[str, orders.Handle]:
    """An order whose refund the gateway refuses, parked."""
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)

    async def parked() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(parked, "the refund is parked", within=20)
    return order_id, handle


async def test_what_is_stuck_is_shown_tried_again_and_undone(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id, handle = await stuck(commanded, database)

    shown = await command("compensate", handle.id)
    await orders.set_card(database, order_id, OK)
    ended = await command("compensate", handle.id, "--retry", "--by", "kim")

    assert shown.code == 0
    assert "'charge payment' keeps failing" in shown.out
    assert "the card is closed" in shown.out
    assert f"compensate {handle.id} --retry" in shown.err
    assert ended.code == 0
    assert "the step 'charge payment' was retried by kim" in ended.out
    assert "Undone: charge payment, reserve inventory." in ended.err
    assert f"run {handle.id} has ended (failed)" in ended.last
    facts = await orders.facts(database, order_id)
    assert (facts.stock, facts.payments) == (orders.STOCK, ((1, "refunded"),))


async def test_a_retry_that_fails_again_fails_the_command_and_says_why(
    command: Commands, commanded: Client, database: Database
) -> None:
    _, handle = await stuck(commanded, database)

    ended = await command("compensate", handle.id, "--retry")
    as_json = await command("compensate", handle.id, "--retry", "--json")

    assert (ended.code, as_json.code) == (1, 1)
    assert "'charge payment' still fails" in ended.last
    assert "the card is closed" in ended.last
    told = as_json.json
    assert told["stuck"]["step"] == "charge payment"
    assert (told["status"], told["error"]["type"]) == ("running", "CompensationStuck")
    assert (await runs.status_of(handle)).phase == "compensating"
    await handle.terminate()


async def test_what_is_given_up_is_recorded_with_who_and_why(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id, handle = await stuck(commanded, database)

    ended = await command("compensate", handle.id, "--abandon", "paid out by hand", "--json")

    told = ended.json
    assert ended.code == 0
    assert (told["id"], told["decision"]) == (handle.id, "abandon")
    assert (told["status"], told["stuck"]) == ("failed", None)
    assert told["undone"] == ["reserve inventory"]
    (given_up,) = told["abandoned"]
    assert (given_up["step"], given_up["reason"]) == ("charge payment", "paid out by hand")
    assert given_up["by"] == told["by"] != ""
    async with database.statement() as connection:
        (logged,) = await error_log.list_errors(connection, workflow_id=handle.id)
    assert "paid out by hand" in logged.message
    facts = await orders.facts(database, order_id)
    assert (facts.stock, facts.charged) == (orders.STOCK, 1)


async def test_what_cannot_be_decided_is_said_in_one_sentence(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id = await orders.new_order(database)
    done = await orders.start(commanded, order_id)
    await runs.result_of(done)
    other = await runs.start(commanded, "TrackedWorkflow", TrackedInput(task_id="task-1"))
    await runs.result_of(other)
    _, waiting = await stuck(commanded, database)

    for args, says in (
        (("no-such-run", "--retry"), "There is no run no-such-run"),
        ((done.id, "--retry"), "has ended (completed); nothing of it is stuck"),
        ((other.id, "--retry"), "has ended (completed); nothing of it is stuck"),
        ((waiting.id, "--abandon", " "), "needs a reason"),
        ((waiting.id, "--abandon", "x" * 2001), "longer than 2000 characters"),
        ((waiting.id, "--abandon", "x", "--retry"), "not both"),
    ):
        ended = await command("compensate", *args)
        assert (ended.code, says in ended.sentence) == (2, True), ended
    assert (await runs.status_of(waiting)).note == ""
    await waiting.terminate()


async def test_a_run_that_is_not_stuck_and_one_that_has_nothing_to_undo_are_refused(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id = await orders.new_order(database)
    slow = TrackedInput(task_id="task-1")

    async with orders.fulfilling(commanded, database, order_id) as handle:
        at_work = await command("compensate", handle.id, "--retry")
    await runs.result_of(handle)
    nothing = await runs.start(commanded, "ReviewWorkflow", slow)
    refused = await command("compensate", nothing.id, "--retry")
    await nothing.terminate()

    assert (at_work.code, refused.code) == (2, 2)
    assert "is stuck now" in at_work.sentence
    assert "is a ReviewWorkflow, which has nothing to compensate" in refused.sentence


async def test_when_nobody_works_the_command_says_what_to_start(
    command: Commands, commanded: Client
) -> None:
    lonely = await commanded.start_workflow(
        orders.WORKFLOW,
        OrderInput(order_id="1001"),
        id=f"lonely-{secrets.token_hex(4)}",
        task_queue=f"{queues.WORKFLOWS}-nobody",
    )

    ended = await asyncio.wait_for(command("compensate", lonely.id, "--retry"), 20)

    assert ended.code == 2
    assert "No worker answers" in ended.sentence
    described = await lonely.describe()
    assert described.status == WorkflowExecutionStatus.RUNNING
    await lonely.terminate()


async def test_a_refund_whose_run_was_cut_off_is_taken_up_by_a_worker_of_its_own_accord(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id, handle = await stuck(commanded, database)
    await orders.set_card(database, order_id, OK)
    await handle.terminate()

    async def given_back() -> bool:
        return not (await orders.facts(database, order_id)).charged

    await runs.until(given_back, "a worker takes it up", within=40)
    await orders.set_fulfilment(database, order_id, "works")
    again = await command("order", order_id)

    assert again.code == 0
    facts = await orders.facts(database, order_id)
    assert (facts.status, facts.payments) == ("fulfilled", ((1, "refunded"), (2, "charged")))
