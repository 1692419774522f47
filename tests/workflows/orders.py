"""Orders of a test's own, and what became of them."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db import effects
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK
from durable_agents.models import queues
from durable_agents.models.order import OrderInput, OrderResult
from durable_agents.models.saga import SagaOutcome
from tests.workflows import runs

WORKFLOW = "OrderWorkflow"
STOCK = 10
QUANTITY = 3
ALL = ("reserve inventory", "charge payment", "fulfil order")
CHARGED = ("charge payment", "reserve inventory")

Handle = WorkflowHandle[Any, OrderResult]


@dataclass(frozen=True)
class Facts:
    """What stands of an order: its status, the stock that is left, its payments."""

    status: str
    stock: int
    payments: tuple[tuple[int, str], ...]

    @property
    def charged(self) -> int:
        return sum(status == "charged" for _, status in self.payments)


async def new_order(
    database: Database, card: str = OK, *, stock: int = STOCK, fulfilment: str = "works"
) -> str:
    """An order of three of a product of its own, of which there are ten."""
    order_id = runs.token()
    values = {
        "id": order_id,
        "card": card,
        "stock": stock,
        "fulfilment": fulfilment,
        "quantity": QUANTITY,
    }
    async with database.transaction() as connection:
        await connection.execute(
            text("INSERT INTO products VALUES (:id, 'A test', 19.99, :stock)"), values
        )
        await connection.execute(
            text(
                "INSERT INTO orders (order_id, user_id, sku, quantity, card, fulfilment) "
                "VALUES (:id, 'u-1', :id, :quantity, :card, :fulfilment)"
            ),
            values,
        )
    return order_id


async def set_card(database: Database, order_id: str, card: str) -> None:
    values = {"card": card, "id": order_id}
    async with database.transaction() as connection:
        for statement in (
            "UPDATE orders SET card = :card WHERE order_id = :id",
            "UPDATE payments SET card = :card WHERE order_id = :id AND status = 'charged'",
        ):
            await connection.execute(text(statement), values)


async def set_fulfilment(database: Database, order_id: str, fulfilment: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text("UPDATE orders SET fulfilment = :fulfilment WHERE order_id = :id"),
            {"fulfilment": fulfilment, "id": order_id},
        )


async def facts(database: Database, order_id: str) -> Facts:
    """What stands of an order."""
    async with database.statement() as connection:
        row = (
            await connection.execute(
                text(
                    "SELECT status, stock FROM orders JOIN products USING (sku) "
                    "WHERE order_id = :id"
                ),
                {"id": order_id},
            )
        ).one()
        payments = await connection.execute(
            text(
                "SELECT generation, status FROM payments WHERE order_id = :id AND amount_usd > 0 "
                "ORDER BY generation"
            ),
            {"id": order_id},
        )
        return Facts(row[0], row[1], tuple((n, status) for n, status in payments))


async def start(client: Client, order_id: str, deadline_s: float = 600) -> Handle:
    return await client.start_workflow(
        WORKFLOW,
        OrderInput(order_id=order_id, deadline_s=deadline_s),
        id=f"order-{order_id}-{secrets.token_hex(3)}",
        task_queue=queues.WORKFLOWS,
        result_type=OrderResult,
    )


async def outcome(handle: Handle) -> SagaOutcome:
    return await handle.query("outcome", result_type=SagaOutcome)


@asynccontextmanager
async def fulfilling(client: Client, database: Database, order_id: str) -> AsyncGenerator[Handle]:
    """A run that waits for the key of its last step, and gets it when the block ends."""
    key = f"order/{order_id}/fulfil"
    async with database.transaction() as connection:
        lock = func.pg_advisory_xact_lock(func.hashtextextended(key, effects.LOCK_SEED))
        await connection.execute(select(lock))
        handle = await start(client, order_id)
        await runs.until_step(handle, "fulfil order")
        yield handle
