"""Orders: what an order asks for, and each step of working through one, under its keys.

A step claims its key and then locks the order's row; a compensation stands in line for the key,
locks the row, and closes the generation that it undoes. So two runs of one order share what
they do, and what one has undone the other cannot fulfil.
"""

import secrets
from typing import Literal

from pydantic import Field
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects, refunds
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Order, Product
from durable_agents.models.base import Record
from durable_agents.models.errors import (
    FulfilmentError,
    IdempotencyConflictError,
    InsufficientStockError,
    NotFoundError,
    OrderUndoneError,
)
from durable_agents.models.order import (
    FulfilInput,
    Fulfilment,
    OrderId,
    Reservation,
    ReserveInput,
    UndoInput,
)
from durable_agents.models.saga import Undone

_BACK_BEFORE = "what order {0} had reserved was back in stock before"


class ProductRecord(Record):
    """Something to sell, as the sample data describes it."""

    sku: str = Field(min_length=1)
    name: str
    price_usd: float = Field(gt=0)
    stock: int = Field(ge=0)


class OrderRecord(Record):
    """An order, as the sample data describes it."""

    order_id: OrderId
    user_id: str
    sku: str
    quantity: int = Field(gt=0)
    card: str
    fulfilment: Literal["works", "fails"] = "works"


async def look_up(database: Database, order_id: str) -> Fulfilment:
    """The confirmation of an order; empty while it is not fulfilled.

    Raises:
        NotFoundError: There is no such order.
    """
    async with database.statement() as connection:
        await order_row(connection, order_id)
        stored = await effects.stored(connection, key=key_of(order_id, "fulfil"))
    return Fulfilment.model_validate(stored or {})


async def reserve(database: Database, request: ReserveInput) -> Reservation:
    """Take what an order asks for from the stock, once for each generation.

    Raises:
        NotFoundError: There is no such order.
        InsufficientStockError: Less is in stock.
        RefundUnderWayError: What it was charged before is not given back yet.
    """
    order_id = request.order_id
    known = await look_up(database, order_id)
    if known.confirmation:
        return Reservation(confirmation=known.confirmation, payment=known.payment)

    async def write(connection: AsyncConnection) -> effects.JSON:
        order = await order_row(connection, order_id, lock=True)
        await refunds.require_settled(connection, order_id)
        cents = await _take(connection, order)
        await set_status(connection, order_id, "reserved")
        return {"amount_cents": cents}

    key = key_of(order_id, "reserve")
    asked = {"order_id": order_id}
    held = await effects.once(database, key=key, request=asked, run_id=request.chain, write=write)
    async with database.transaction() as connection:
        order = await order_row(connection, order_id, lock=True)
        await refunds.require_settled(connection, order_id)
        if order.status == "undoing":
            # The charge is given back or given up, and what would release the stock was given up
            # or cut off: go on from there. If it is only late, this run is undone with it.
            await set_status(connection, order_id, "reserved")
        generation = await open_generation(connection, key)
        charged = await effects.claims(connection, key=key_of(order_id, "charge"))
    closed = sum(not claim.is_open for claim in charged)
    stored = Reservation.model_validate(held)
    return stored.model_copy(update={"generation": generation, "charge": closed + 1})


async def release(database: Database, request: UndoInput) -> Undone:
    """Put what was reserved back into stock; tells whether it is there, by this run or another.

    An order that is fulfilled keeps what it has.
    """
    key = key_of(request.order_id, "reserve")
    async with database.transaction() as connection:
        await effects.open_claim(connection, key=key)
        found = await effects.claims(connection, key=key)
        claim = next((claim for claim in reversed(found) if _is_meant(claim, request)), None)
        if claim is None:
            return Undone()
        if not claim.is_open:
            return Undone(happened=True, note=_BACK_BEFORE.format(request.order_id))
        order = await order_row(connection, request.order_id, lock=True)
        if order.status == "fulfilled":
            return Undone(note=kept(request.order_id))
        await effects.close(connection, key=key)
        await connection.execute(
            update(Product)
            .where(Product.sku == order.sku)
            .values(stock=Product.stock + order.quantity)
        )
        await set_status(connection, request.order_id, "cancelled")
        return Undone(happened=True)


async def fulfil(database: Database, request: FulfilInput) -> Fulfilment:
    """Fulfil an order, once.

    Raises:
        FulfilmentError: The warehouse refuses it.
        OrderUndoneError: Another run has undone its reservation or its charge.
    """
    order_id = request.order_id

    async def write(connection: AsyncConnection) -> effects.JSON:
        order = await order_row(connection, order_id, lock=True)
        held = await open_generation(connection, key_of(order_id, "reserve"))
        paid = await open_generation(connection, key_of(order_id, "charge"))
        if (held, paid) != (request.reservation, request.charge) or order.status != "charged":
            raise undone_meanwhile(order_id)
        if order.fulfilment == "fails":
            raise FulfilmentError(
                f"The warehouse refuses order {order_id}: it cannot be shipped. "
                "Ask the warehouse before you order again."
            )
        confirmation = f"C-{secrets.token_hex(4).upper()}"
        await set_status(connection, order_id, "fulfilled", confirmation=confirmation)
        return {"confirmation": confirmation, "payment": request.payment}

    asked = {"order_id": order_id, "charge": request.charge}
    key = key_of(order_id, "fulfil")
    try:
        done = await effects.once(
            database, key=key, request=asked, run_id=request.chain, write=write
        )
    except IdempotencyConflictError as error:  # fulfilled on another charge: this one is undone
        raise begun_anew(order_id) from error
    return Fulfilment.model_validate(done)


def key_of(order_id: str, step: str) -> str:
    """The key of one step of an order."""
    return f"order/{order_id}/{step}"


def _is_meant(claim: effects.Claim, request: UndoInput) -> bool:
    if request.generation:
        return claim.generation == request.generation
    return claim.run_id == request.chain


async def open_generation(connection: AsyncConnection, key: str) -> int:
    """The generation of a key that is open; 0 when none is."""
    found = await effects.claims(connection, key=key)
    return next((claim.generation for claim in found if claim.is_open), 0)


async def order_row(
    connection: AsyncConnection, order_id: str, *, lock: bool = False
) -> Row[str, int, str, str, str]:
    """An order's row: sku, quantity, card, fulfilment, status.

    Raises:
        NotFoundError: There is no such order.
    """
    query = select(Order.sku, Order.quantity, Order.card, Order.fulfilment, Order.status).where(
        Order.order_id == order_id
    )
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no order {order_id}. Check the id and start again.")
    return row


async def _take(connection: AsyncConnection, order: Row[str, int, str, str, str]) -> int:
    """Take an order's quantity from the stock; gives what it costs, in cents.

    Raises:
        InsufficientStockError: Less is in stock.
    """
    price = await connection.scalar(
        update(Product)
        .where(Product.sku == order.sku, Product.stock >= order.quantity)
        .values(stock=Product.stock - order.quantity)
        .returning(Product.price_usd)
    )
    if price is None:
        left = await connection.scalar(select(Product.stock).where(Product.sku == order.sku))
        raise InsufficientStockError(
            f"{order.quantity} of {order.sku} are ordered, and {left} are in stock. "
            "Order fewer, or again when there is more."
        )
    return round(price * 100) * order.quantity


async def set_status(
    connection: AsyncConnection, order_id: str, status: str, **values: str
) -> None:
    """Note where an order is."""
    await connection.execute(
        update(Order)
        .where(Order.order_id == order_id)
        .values(status=status, updated_at=func.now(), **values)
    )


def kept(order_id: str) -> str:
    """Say that an order keeps what a run that shared it would undo."""
    return f"order {order_id} is fulfilled by another run: it keeps its stock and its charge"


def undone_meanwhile(order_id: str) -> OrderUndoneError:
    """The error of a run that finds its order undone by another one."""
    return OrderUndoneError(
        f"Another run has undone order {order_id} meanwhile; nothing stands of it. "
        "Order again if it is still wanted."
    )


def begun_anew(order_id: str) -> OrderUndoneError:
    """The error of a run that finds its order undone, and under way or fulfilled once more."""
    return OrderUndoneError(
        f"Another run has undone order {order_id} meanwhile and begun it anew; nothing stands of "
        "what this run did. Start it again to see what came of it."
    )
