"""The charge of an order, as far as our own database knows it: claimed, made, closed.

The payment itself is the gateway's. A charge is claimed before the gateway is asked, and closed
before it is asked for a refund. The transaction that closes it opens a row of refunds, so that
whoever comes next, also after this run was cut off, sees that the old charge may still stand.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import effects, refunds
from durable_agents.db.engine import Database
from durable_agents.db.orders import (
    begun_anew,
    kept,
    key_of,
    open_generation,
    order_row,
    set_status,
    undone_meanwhile,
)
from durable_agents.models.errors import IdempotencyConflictError
from durable_agents.models.order import ChargeInput, GiveUpInput, UndoInput
from durable_agents.models.saga import Undone


class Holder(NamedTuple):
    """Who gives back: the workflow's namespace and id, and the first run of its chain."""

    namespace: str = ""
    workflow_id: str = ""
    run_id: str = ""


NOBODY = Holder()


class BegunRefund(NamedTuple):
    """A charge that is closed; it was asked for between the two times."""

    since: datetime
    asked_until: datetime


class BegunCharge(NamedTuple):
    """A claim to charge: whether it is new, since when it stands, and the card."""

    is_new: bool
    since: datetime
    card: str


async def begin_charge(database: Database, request: ChargeInput) -> BegunCharge:
    """Claim the charge of an order: from here on it may have been charged.

    Raises:
        OrderUndoneError: Another run has undone this generation of it.
        RefundUnderWayError: What it was charged before is not given back yet.
    """
    key, is_new = key_of(request.order_id, "charge"), False

    async def write(connection: AsyncConnection) -> effects.JSON:
        nonlocal is_new
        order = await order_row(connection, request.order_id, lock=True)
        await refunds.require_settled(connection, request.order_id)
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


async def mark_charged(database: Database, request: ChargeInput, payment: str = "") -> bool:
    """Note that an order is charged, and by which payment; False when that is undone meanwhile."""
    key = key_of(request.order_id, "charge")
    async with database.transaction() as connection:
        order = await order_row(connection, request.order_id, lock=True)
        open_ = await open_generation(connection, key)
        if open_ == request.generation:
            await effects.note_result(connection, key=key, generation=open_, result=payment)
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


async def begin_refund(
    database: Database, request: UndoInput, by: Holder = NOBODY
) -> BegunRefund | Undone:
    """Close a charge before it is given back: nobody can fulfil the order on it any more.

    Returns:
        Since when it was asked for; or that there is nothing to do, because nobody began to
        charge, the order is fulfilled on this charge, or a person gave the refund up.
    """
    order_id, key = request.order_id, key_of(request.order_id, "charge")
    async with database.transaction() as connection:
        open_ = await effects.open_claim(connection, key=key)
        order = await order_row(connection, order_id, lock=True)
        is_open = open_ is not None and open_.generation == request.generation
        if order.status == "fulfilled" and is_open:
            return Undone(note=kept(order_id))
        if order.status in {"reserved", "charged"} and (is_open or open_ is None):
            await set_status(connection, order_id, "undoing")
        refund = await _close(connection, request, by, is_open=is_open)
        claim = await _claim(connection, order_id, request.generation)
        if refund is None or claim is None:
            return Undone()
        who = await refunds.given_up(connection, order_id, request.generation)
        if who:
            return Undone(note=f"{refund.what()} was given up by {who}")
        await refunds.begin(connection, refund)
    return BegunRefund(claim.created_at, claim.closed_at or datetime.now(UTC))


async def _close(
    connection: AsyncConnection, request: UndoInput, by: Holder, *, is_open: bool
) -> refunds.OpenRefund | None:
    """Close a charge; the refund that is to follow, None when nobody began to charge."""
    order_id, key = request.order_id, key_of(request.order_id, "charge")
    claim = await _claim(connection, order_id, request.generation)
    if claim is None:
        return None
    payment = await effects.stored(connection, key=key) if is_open else None
    if is_open:
        await effects.close(connection, key=key)
    return refunds.OpenRefund(
        order_id=order_id,
        generation=request.generation,
        reservation=await open_generation(connection, key_of(order_id, "reserve")),
        payment=str(payment or ""),
        namespace=by.namespace,
        workflow_id=by.workflow_id,
        run_id=by.run_id,
    )


async def settle_refund(database: Database, request: UndoInput, outcome: refunds.Outcome) -> None:
    """Note what the gateway said of a refund: from now on the order may be charged anew."""
    async with database.transaction() as connection:
        await refunds.settle(connection, request.order_id, request.generation, outcome)


async def abandon_refund(database: Database, request: GiveUpInput) -> None:
    """Note that a person gave a refund up, and why: the order may be charged anew.

    The charge is closed if the refund never came so far: a later run does not count on it.
    """
    undo = UndoInput(order_id=request.order_id, generation=request.generation)
    async with database.transaction() as connection:
        open_ = await effects.open_claim(connection, key=key_of(request.order_id, "charge"))
        order = await order_row(connection, request.order_id, lock=True)
        is_open = open_ is not None and open_.generation == request.generation
        if order.status == "fulfilled" and is_open:
            return
        refund = await _close(connection, undo, NOBODY, is_open=is_open)
        if refund is not None:
            await refunds.abandon(connection, refund, reason=request.reason, by=request.by)
