"""What passes between an order and a payment gateway."""

from typing import Literal

from durable_agents.models.base import Record

PaymentStatus = Literal["charged", "refunded", "declined"]


class ChargeRequest(Record):
    """What to charge: cents of a currency, on a card that the gateway knows by a token.

    Order and generation name the charge: a gateway makes at most one for both.
    """

    order_id: str
    generation: int
    amount_cents: int
    card: str
    currency: str = "usd"


class Payment(Record):
    """A payment as the gateway knows it; `reason` says why it was declined.

    `part_refunded_cents` is what others had given back of it, when that was not all: of one that
    is charged so far, of one that is refunded before the rest was given back.
    """

    payment_id: str
    status: PaymentStatus
    reason: str = ""
    part_refunded_cents: int = 0
