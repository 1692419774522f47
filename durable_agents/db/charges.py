"""The charge of an order, as far as our own database knows it: claimed, made, closed.

The payment itself is the gateway's. A charge is claimed before the gateway is asked, and closed
before it is asked for a refund.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects
from durable_agents.db.engine import Database
from durable_agents.db.orders import (
    begun_anew,
    key_of,
    open_generation,
    order_row,
    set_status,
    undone_meanwhile,
)
from durable_agents.models.errors import IdempotencyConflictError
from durable_agents.models.order import ChargeInput, UndoInput


class BegunCharge(NamedTuple):
    """A claim to charge: whether it is new, since when it stands, and the card."""

    is_new: bool
    since: datetime
    card: str


async def begin_charge(database: Database, request: ChargeInput) -> BegunCharge:
    """Claim the charge of an order: from here on it may have been charged.

    Raises:
        OrderUndoneError: Another run has undone this generation of it.
    """
    key, is_new = key_of(request.order_id, "charge"), False

    async def write(connection: AsyncConnection) -> effects.JSON:
        nonlocal is_new
        order = await order_row(connection, request.order_id, lock=True)
        held = await open_generation(connection, key_of(request.order_id, "reserve"))
        mine = await open_generation(connection, key)
        if (held, mine) != (request.reservation, request.generation) or order.status != "reserved":
            raise undone_meanwhile(request.order_id)
        is_new = True
        return None

    asked = {
        "order_id": request.order_id,
        "generation": request.generation,
        "amount_cents": request.amount_cents,
    }
    try:
        await effects.once(database, key=key, request=asked, run_id=request.chain, write=write)
    except IdempotencyConflictError as error:  # a later generation of it is open
        raise begun_anew(request.order_id) from error
    async with database.statement() as connection:
        order = await order_row(connection, request.order_id)
        claim = await _claim(connection, request.order_id, request.generation)
    if claim is None:
        raise undone_meanwhile(request.order_id)
    return BegunCharge(is_new, claim.created_at, order.card)


async def _claim(
    connection: AsyncConnection, order_id: str, generation: int
) -> effects.Claim | None:
    """The claim of a charge; None when nobody began one."""
    claims = await effects.claims(connection, key=key_of(order_id, "charge"))
    return next((claim for claim in claims if claim.generation == generation), None)


async def mark_charged(database: Database, request: ChargeInput) -> bool:
    """Note that an order is charged; False when the charge has been undone meanwhile."""
    async with database.transaction() as connection:
        order = await order_row(connection, request.order_id, lock=True)
        open_ = await open_generation(connection, key_of(request.order_id, "charge"))
        if order.status == "reserved" and open_ == request.generation:
            await set_status(connection, request.order_id, "charged")
        return open_ == request.generation


async def note_declined(database: Database, request: ChargeInput) -> None:
    """Close the claim of a charge that was declined: the next try is a new generation."""
    key = key_of(request.order_id, "charge")
    async with database.transaction() as connection:
        claim = await effects.open_claim(connection, key=key)
        if claim is not None and claim.generation == request.generation:
            await effects.close(connection, key=key)


async def begin_refund(database: Database, request: UndoInput) -> effects.Claim | None:
    """Close a charge before it is given back: nobody can fulfil the order on it any more.

    Returns:
        The claim, with when it was made and closed: charges were asked for in between. None when
        there is nothing to give back, because nobody began to charge, or because the order is
        fulfilled on this charge.
    """
    key = key_of(request.order_id, "charge")
    async with database.transaction() as connection:
        claim = await effects.open_claim(connection, key=key)
        order = await order_row(connection, request.order_id, lock=True)
        is_open = claim is not None and claim.generation == request.generation
        if order.status == "fulfilled" and is_open:
            return None
        if is_open:
            await effects.close(connection, key=key)
        if order.status in {"reserved", "charged"} and (is_open or claim is None):
            await set_status(connection, request.order_id, "undoing")
        return await _claim(connection, request.order_id, request.generation)
