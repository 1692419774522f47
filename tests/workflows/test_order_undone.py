"""The saga of F12, step by step, on a server whose clock jumps over every wait.

The gateway is scripted: each test says how it answers, and where the run is cancelled.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
from sqlalchemy import func, select
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from durable_agents.db import charges, effects, error_log
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, UNAVAILABLE, Ledger
from durable_agents.models.errors import PaymentUnavailableError
from durable_agents.models.order import UndoInput
from durable_agents.models.payments import ChargeRequest, Payment
from durable_agents.runtime.settings import Settings
from tests.workflows import orders, runs
from workers.process import build_workers
from workers.resources import Resources
from workers.roles import ROLES

LEFT = orders.STOCK - orders.QUANTITY
Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Does nothing."""


@dataclass
class Script:
    """How the gateway behaves, and what happens meanwhile."""

    before_charge: Hook = nothing
    after_charge: Hook = nothing
    refunds: bool = True
    charges_lost: int = 0


@dataclass
class ScriptedGateway:
    """The ledger, but for what the script of an order says."""

    ledger: Ledger
    scripts: dict[str, Script] = field(default_factory=dict[str, Script])

    async def charge(self, request: ChargeRequest) -> Payment:
        script = self.scripts.get(request.order_id, Script())
        await script.before_charge()
        payment = await self.ledger.charge(request)
        await script.after_charge()
        if script.charges_lost:
            script.charges_lost -= 1
            raise PaymentUnavailableError("The answer is lost.")
        return payment

    async def find(self, order_id: str, generation: int, *, since: datetime) -> Payment | None:
        if self.scripts.get(order_id, Script()).charges_lost:
            raise PaymentUnavailableError("Nobody answers.")
        return await self.ledger.find(order_id, generation, since=since)

    async def refund(
        self, order_id: str, generation: int, *, since: datetime, asked_until: datetime
    ) -> Payment | None:
        if not self.scripts.get(order_id, Script()).refunds:
            raise PaymentUnavailableError("The gateway does not give anything back today.")
        return await self.ledger.refund(order_id, generation, since=since, asked_until=asked_until)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class World:
    """The server, the database, and the gateway."""

    client: Client
    database: Database
    gateway: ScriptedGateway

    async def order(self, script: Script, card: str = OK, fulfilment: str = "works") -> str:
        order_id = await orders.new_order(self.database, card, fulfilment=fulfilment)
        self.gateway.scripts[order_id] = script
        return order_id


@asynccontextmanager
async def working(
    client: Client, settings: Settings, gateway: ScriptedGateway
) -> AsyncGenerator[None]:
    resources = replace(Resources.open(settings), payments=gateway)
    try:
        async with asyncio.TaskGroup() as group:
            workers = build_workers(client, settings, resources, ROLES)
            for worker in workers:
                group.create_task(worker.run())
            yield
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await resources.close()


@pytest.fixture(scope="module")
async def world(
    time_skipping: WorkflowEnvironment, settings: Settings, database: Database
) -> AsyncIterator[World]:
    gateway = ScriptedGateway(Ledger(database))
    async with working(time_skipping.client, settings, gateway):
        yield World(time_skipping.client, database, gateway)


async def undone(world: World, order_id: str, payments: tuple[tuple[int, str], ...]) -> None:
    """Assert that nothing stands of an order."""
    facts = await orders.facts(world.database, order_id)
    assert facts.status in {"new", "cancelled"}
    assert (facts.stock, facts.charged) == (orders.STOCK, 0)
    assert facts.payments == payments


async def stuck(world: World) -> tuple[str, orders.Handle]:
    """An order whose refund keeps failing, parked."""
    order_id = await world.order(Script(refunds=False), fulfilment="fails")
    handle = await orders.start(world.client, order_id)

    async def parked() -> bool:
        status = await runs.status_of(handle)
        return bool(status.waiting_for)

    await runs.until(parked, "the refund is parked", within=20)
    return order_id, handle


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


@pytest.mark.parametrize("moment", ["before_charge", "after_charge"])
async def test_a_cancel_while_the_charge_is_at_the_gateway_gives_it_back(
    world: World, moment: str
) -> None:
    at_gateway, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        at_gateway.set()
        await go_on.wait()

    order_id = await world.order(replace(Script(), **{moment: hold}))
    handle = await orders.start(world.client, order_id)
    await at_gateway.wait()

    await handle.cancel()
    await asyncio.sleep(2.5)  # the activity hears of it with its first heartbeat
    before = await orders.facts(world.database, order_id)
    go_on.set()
    kind, _ = await runs.failure_of(handle)

    assert before.stock == LEFT  # nothing was undone while the charge was under way
    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_deadline_while_the_charge_is_at_the_gateway_gives_it_back(world: World) -> None:
    async def hold() -> None:
        await asyncio.sleep(3)

    order_id = await world.order(Script(before_charge=hold))
    handle = await orders.start(world.client, order_id, deadline_s=1)

    kind, _ = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_cancel_before_the_reservation_leaves_nothing_or_all(world: World) -> None:
    order_id = await world.order(Script())
    handle = await orders.start(world.client, order_id)
    await handle.cancel()

    with suppress(WorkflowFailureError):
        await runs.result_of(handle)

    facts = await orders.facts(world.database, order_id)
    nothing_stands = (facts.stock, facts.charged) == (orders.STOCK, 0)
    assert nothing_stands or (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)


@asynccontextmanager
async def fulfilling(world: World, order_id: str) -> AsyncGenerator[orders.Handle]:
    """A run that waits for the key of its last step, and gets it when the block ends."""
    key = f"order/{order_id}/fulfil"
    async with world.database.transaction() as connection:
        lock = func.pg_advisory_xact_lock(func.hashtextextended(key, effects.LOCK_SEED))
        await connection.execute(select(lock))
        handle = await orders.start(world.client, order_id)
        await runs.until_step(handle, "fulfil order")
        yield handle


async def test_a_cancel_that_comes_too_late_undoes_nothing(world: World) -> None:
    order_id = await world.order(Script())

    async with fulfilling(world, order_id) as handle:
        await handle.cancel()
    result = await runs.result_of(handle)

    assert result.done == orders.ALL
    facts = await orders.facts(world.database, order_id)
    assert (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)
    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_a_cancel_that_stops_the_fulfilment_undoes_everything(world: World) -> None:
    order_id = await world.order(Script())

    async with fulfilling(world, order_id) as handle:
        await handle.cancel()
        await asyncio.sleep(3)  # the activity hears of it with its heartbeat
    kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await orders.outcome(handle)).undone == orders.CHARGED
    await undone(world, order_id, ((1, "refunded"),))


async def test_of_two_runs_of_one_order_one_is_cancelled_and_the_order_stays_whole(
    world: World,
) -> None:
    at_gateway, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def hold() -> None:
        at_gateway.release()
        await go_on.wait()

    order_id = await world.order(Script(before_charge=hold))
    first, second = [await orders.start(world.client, order_id) for _ in range(2)]
    await at_gateway.acquire()
    await at_gateway.acquire()

    await first.cancel()
    await asyncio.sleep(2.5)
    go_on.set()
    for handle in (first, second):
        with suppress(WorkflowFailureError):
            await runs.result_of(handle)

    facts = await orders.facts(world.database, order_id)
    stands = (facts.status, facts.stock, facts.charged) == ("fulfilled", LEFT, 1)
    assert stands or (facts.status, facts.stock, facts.charged) == ("cancelled", orders.STOCK, 0)


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
    assert (await handle.describe()).search_attributes["Phase"] == ["running"]
    await undone(world, order_id, ((1, "refunded"),))


async def test_a_person_gives_a_parked_compensation_up_and_that_is_recorded(world: World) -> None:
    order_id, handle = await stuck(world)

    await handle.cancel()  # changes nothing: what is begun is undone
    await handle.signal("abandon_compensation", {"by": "kim"})  # no reason: dropped
    await asyncio.sleep(0.3)
    status = await runs.status_of(handle)
    await handle.signal("abandon_compensation", {"reason": "paid out by hand", "by": "kim"})
    kind, _ = await runs.failure_of(handle)

    assert status.phase == "compensating"
    assert "give a reason" in status.note
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
