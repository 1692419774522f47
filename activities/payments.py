"""Touches the payment gateway: charges and refunds.

A charge is claimed in the database before the gateway is asked. When the claim is there already,
an earlier try may have charged: the payment is looked up before another is asked for. A request
that is at the gateway is never cut short, so that what follows finds it settled.
"""

from datetime import UTC, datetime

from temporalio import activity

from activities.shielding import to_its_end
from durable_agents.clients.payments import PaymentGateway
from durable_agents.db import charges
from durable_agents.db.engine import Database
from durable_agents.models.errors import OrderUndoneError, PaymentDeclinedError
from durable_agents.models.order import ChargeInput, UndoInput
from durable_agents.models.payments import ChargeRequest, Payment
from durable_agents.models.saga import Undone


class PaymentActivities:
    """Charges an order, and gives back what was charged."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway

    @activity.defn(name="charge_payment")
    async def charge_payment(self, request: ChargeInput) -> Payment:
        """Charge an order, once for each generation.

        Raises:
            PaymentDeclinedError: The gateway refuses the card.
            PaymentUnavailableError: It does not answer; it may have charged.
            OrderUndoneError: Another run has undone the order meanwhile.
            RefundUnderWayError: What it was charged before is not given back yet.
        """
        begun = await charges.begin_charge(self._database, request)
        return await to_its_end(self._charge(request, begun))

    async def _charge(self, request: ChargeInput, begun: charges.BegunCharge) -> Payment:
        payment = await self._find_or_charge(request, begun)
        if payment.status == "declined":
            await charges.note_declined(self._database, request)
            raise PaymentDeclinedError(
                f"The payment of order {request.order_id} is declined: {payment.reason}. "
                "Nothing was charged; order again with another card."
            )
        if payment.status == "refunded":
            raise OrderUndoneError(
                f"The payment of order {request.order_id} was given back meanwhile by another "
                "run. Order again if it is still wanted."
            )
        if payment.part_refunded_cents:
            raise OrderUndoneError(
                f"Of the payment of order {request.order_id}, {_usd(payment.part_refunded_cents)} "
                f"of {_usd(request.amount_cents)} were given back meanwhile at the gateway: the "
                "rest is given back as well. Order again if it is still wanted."
            )
        if not await charges.mark_charged(self._database, request, payment.payment_id):
            # Undone while this charge was on its way: nobody else knows of it.
            now = datetime.now(UTC)
            await self._gateway.refund(
                request.order_id, request.generation, since=begun.since, asked_until=now
            )
            raise OrderUndoneError(
                f"The payment of order {request.order_id} came after the order had been undone, "
                "and was given back. Order again if it is still wanted."
            )
        return payment

    async def _find_or_charge(self, request: ChargeInput, begun: charges.BegunCharge) -> Payment:
        order_id, generation = request.order_id, request.generation
        if not begun.is_new:
            found = await self._gateway.find(order_id, generation, since=begun.since)
            if found is not None:
                return found
        return await self._gateway.charge(
            ChargeRequest(
                order_id=order_id,
                generation=generation,
                amount_cents=request.amount_cents,
                card=begun.card,
            )
        )

    @activity.defn(name="refund_payment")
    async def refund_payment(self, request: UndoInput) -> Undone:
        """Give back what an order was charged under a generation; harmless when nothing was.

        Until the gateway has told how it went, and that is noted, the order is not charged anew.

        Raises:
            PaymentUnavailableError: The gateway does not answer, or cannot tell yet.
            PaymentRequestError: The gateway refuses.
        """
        begun = await charges.begin_refund(self._database, request, _holder(request.chain))
        if isinstance(begun, Undone):
            return begun
        return await to_its_end(self._refund(request, begun))

    async def _refund(self, request: UndoInput, begun: charges.BegunRefund) -> Undone:
        payment = await self._gateway.refund(
            request.order_id, request.generation, since=begun.since, asked_until=begun.asked_until
        )
        if payment is None or payment.status != "refunded":
            await charges.settle_refund(self._database, request, "nothing")
            return Undone()
        await charges.settle_refund(self._database, request, "refunded")
        return Undone(happened=True, note=_told_of_parts(request.order_id, payment))


def _holder(chain: str) -> charges.Holder:
    """The run that this activity works for."""
    info = activity.info()
    return charges.Holder(info.namespace, info.workflow_id or "", chain)


def _told_of_parts(order_id: str, payment: Payment) -> str:
    """Say that others had given a part back before; empty when they had not."""
    if not payment.part_refunded_cents:
        return ""
    activity.logger.warning("Of a payment, a part had been given back before")
    return (
        f"of payment {payment.payment_id} of order {order_id}, "
        f"{_usd(payment.part_refunded_cents)} had been given back before, by somebody else; "
        "now the rest was given back"
    )


def _usd(cents: int) -> str:
    return f"{cents / 100:.2f} USD"
