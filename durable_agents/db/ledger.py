"""The payment gateway of the sample data: a ledger in the table of payments.

It stands in for the company that moves the money, so its transactions are its own. Like test
cards of real gateways, the token of a card says how it behaves: see `CARDS`.
"""

import random
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import flow_tables as tables
from durable_agents.db.engine import Database
from durable_agents.models.errors import PaymentRequestError, PaymentUnavailableError
from durable_agents.models.payments import ChargeRequest, Payment

OK = "tok_ok"
DECLINED = "tok_declined"
UNAVAILABLE_ONCE = "tok_unavailable_once"
UNAVAILABLE = "tok_unavailable"
CHARGED_THEN_LOST = "tok_charged_then_lost"
NO_REFUND = "tok_refund_unavailable"
REFUND_REFUSED = "tok_refund_refused"
FLAKY = "tok_flaky"
CARDS = {
    OK: "is charged",
    DECLINED: "is declined",
    UNAVAILABLE_ONCE: "is charged at the second try",
    UNAVAILABLE: "is never charged: the gateway does not answer",
    CHARGED_THEN_LOST: "is charged, but the answer of the first try is lost",
    NO_REFUND: "is charged; the gateway does not answer when asked for a refund",
    REFUND_REFUSED: "is charged; the gateway refuses to give it back",
    FLAKY: "is charged and refunded, but each try may fail, before or after it has done so",
}
FLAKY_BEFORE = 0.2  # the part of tries that fail before anything has happened
FLAKY_AFTER = 0.25  # and of those that fail although it has


class Ledger:
    """Charges and refunds as rows of the table of payments."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tried = set[tuple[str, int]]()

    async def charge(self, request: ChargeRequest) -> Payment:
        """Charge; the same order and generation again gives the same payment."""
        self._fail_before(request)
        status = "charged" if request.card in CARDS and request.card != DECLINED else "declined"
        values = {
            "order_id": request.order_id,
            "generation": request.generation,
            "amount_usd": request.amount_cents / 100,
            "card": request.card,
            "status": status,
        }
        async with self._database.transaction() as connection:
            is_new = await _add(connection, values)
            payment = await _read(connection, request.order_id, request.generation)
        if is_new and _loses_answer(request.card):
            raise _unavailable("the answer to the charge was lost")
        assert payment is not None  # noqa: S101 - it was there, or was added
        return payment

    async def find(self, order_id: str, generation: int, *, since: datetime) -> Payment | None:
        """Look a payment up by what it is for."""
        del since  # a row is found whatever its age
        async with self._database.statement() as connection:
            return await _read(connection, order_id, generation)

    async def refund(
        self, order_id: str, generation: int, *, since: datetime, asked_until: datetime
    ) -> Payment | None:
        """Refund; what was never charged gets a row that keeps it from being charged later."""
        del since
        nothing = {"amount_usd": 0, "card": "", "status": "refunded"}
        async with self._database.transaction() as connection:
            is_new = await _add(
                connection, {"order_id": order_id, "generation": generation, **nothing}
            )
            card = "" if is_new else await _refund(connection, order_id, generation)
            payment = await _read(connection, order_id, generation)
        if card == FLAKY and random.random() < FLAKY_AFTER:  # noqa: S311 - a fault, no secret
            raise _unavailable("the answer to the refund was lost")
        return None if is_new or (payment and payment.payment_id == "") else payment

    async def close(self) -> None:
        """Nothing to close: the database belongs to others."""

    def _fail_before(self, request: ChargeRequest) -> None:
        """Fail before anything is charged, if the card is one that does."""
        named = (request.order_id, request.generation)
        first, _ = named not in self._tried, self._tried.add(named)
        flaky = request.card == FLAKY and random.random() < FLAKY_BEFORE  # noqa: S311 - a fault
        if request.card == UNAVAILABLE or (request.card == UNAVAILABLE_ONCE and first) or flaky:
            raise _unavailable("nothing was charged")


def _loses_answer(card: str) -> bool:
    flaky = card == FLAKY and random.random() < FLAKY_AFTER  # noqa: S311 - a fault, no secret
    return card == CHARGED_THEN_LOST or flaky


async def _add(connection: AsyncConnection, values: Mapping[str, object]) -> bool:
    """Add a row unless there is one for this order and generation."""
    added = await connection.scalar(
        insert(tables.Payment)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["order_id", "generation"])
        .returning(tables.Payment.payment_id)
    )
    return added is not None


async def _refund(connection: AsyncConnection, order_id: str, generation: int) -> str:
    """Give back what is charged; tells the card."""
    card = await connection.scalar(
        select(tables.Payment.card)
        .where(tables.Payment.order_id == order_id, tables.Payment.generation == generation)
        .with_for_update()
    )
    if card == REFUND_REFUSED:
        raise PaymentRequestError(
            f"The payment gateway (the ledger) refuses to give back what order {order_id} was "
            "charged: the card is closed. Pay it out another way."
        )
    fails = card == FLAKY and random.random() < FLAKY_BEFORE  # noqa: S311 - a fault, no secret
    if card == NO_REFUND or fails:
        raise _unavailable("nothing was refunded")
    await connection.execute(
        update(tables.Payment)
        .where(
            tables.Payment.order_id == order_id,
            tables.Payment.generation == generation,
            tables.Payment.status == "charged",
        )
        .values(status="refunded", refunded_at=func.now())
    )
    return card or ""


async def _read(connection: AsyncConnection, order_id: str, generation: int) -> Payment | None:
    found = await connection.execute(
        select(tables.Payment).where(
            tables.Payment.order_id == order_id, tables.Payment.generation == generation
        )
    )
    row = found.mappings().one_or_none()
    if row is None:
        return None
    number = f"P-{row['payment_id']}" if row["card"] else ""
    reason = "the card was declined" if row["card"] == DECLINED else "no such card"
    return Payment(
        payment_id=number,
        status=row["status"],
        reason=reason if row["status"] == "declined" else "",
    )


def _unavailable(what: str) -> PaymentUnavailableError:
    return PaymentUnavailableError(
        f"The payment gateway (the ledger) does not answer: {what}. Another try may go through."
    )
