"""Orders on a server whose clock jumps over every wait, with a gateway that follows a script."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, Ledger
from durable_agents.models.errors import PaymentUnavailableError
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
    before_refund: Hook = nothing
    refunds: bool = True
    charges_lost: int = 0
    away: int = 0  # how many tries to charge nobody answers


@dataclass
class ScriptedGateway:
    """The ledger, but for what the script of an order says."""

    ledger: Ledger
    scripts: dict[str, Script] = field(default_factory=dict[str, Script])

    async def charge(self, request: ChargeRequest) -> Payment:
        script = self.scripts.get(request.order_id, Script())
        await script.before_charge()
        if script.away:
            script.away -= 1
            raise PaymentUnavailableError("Nobody answers.")
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
        script = self.scripts.get(order_id, Script())
        await script.before_refund()
        if not script.refunds:
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
