"""Touches orders and the stock: queries and mutations of the database."""

from temporalio import activity

from durable_agents.db import charges, orders
from durable_agents.db.engine import Database
from durable_agents.models.order import (
    FulfilInput,
    Fulfilment,
    GiveUpInput,
    Reservation,
    ReserveInput,
    UndoInput,
)
from durable_agents.models.saga import Undone


class OrderActivities:
    """The steps of an order that write our own tables; each is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="reserve_inventory")
    async def reserve_inventory(self, request: ReserveInput) -> Reservation:
        """Take what an order asks for from the stock.

        Raises:
            NotFoundError: There is no such order.
            InsufficientStockError: Less is in stock.
            RefundUnderWayError: What it was charged before is not given back yet.
        """
        return await orders.reserve(self._database, request)

    @activity.defn(name="release_inventory")
    async def release_inventory(self, request: UndoInput) -> Undone:
        """Put what was reserved back into stock."""
        return await orders.release(self._database, request)

    @activity.defn(name="abandon_refund")
    async def abandon_refund(self, request: GiveUpInput) -> None:
        """Note that a person gave a refund up: no run gives it back any more."""
        await charges.abandon_refund(self._database, request)

    @activity.defn(name="fulfil_order")
    async def fulfil_order(self, request: FulfilInput) -> Fulfilment:
        """Fulfil an order: from here on nothing of it is undone.

        Raises:
            FulfilmentError: The warehouse refuses it.
            OrderUndoneError: Another run has undone it meanwhile.
        """
        return await orders.fulfil(self._database, request)

    @activity.defn(name="look_up_order")
    async def look_up_order(self, order_id: str) -> Fulfilment:
        """Tell whether an order is fulfilled.

        Raises:
            NotFoundError: There is no such order.
        """
        return await orders.look_up(self._database, order_id)
