"""What a payment gateway is. There are two: the ledger in PostgreSQL, and Stripe.

The ledger is `durable_agents/db/ledger.py`, Stripe is `durable_agents/clients/stripe_payments.py`.
"""

from datetime import datetime
from typing import Protocol

from durable_agents.models.payments import ChargeRequest, Payment


class PaymentGateway(Protocol):
    """Charges and refunds, at most once for an order and a generation.

    Whatever is unknown raises `PaymentUnavailableError`; it is never taken for "not charged".
    `since` is when the charge was first asked for: nothing older is looked at.
    """

    async def charge(self, request: ChargeRequest) -> Payment:
        """Charge; the same order and generation again gives the same payment.

        Raises:
            PaymentUnavailableError: The gateway does not answer, or cannot tell; it may have
                charged.
            PaymentRequestError: It does not accept what was asked.
        """
        ...

    async def find(self, order_id: str, generation: int, *, since: datetime) -> Payment | None:
        """Look a payment up by what it is for; None when the gateway has none.

        Raises:
            PaymentUnavailableError: The gateway does not answer.
        """
        ...

    async def refund(
        self, order_id: str, generation: int, *, since: datetime, asked_until: datetime
    ) -> Payment | None:
        """Give back all that was charged, and see to it that nothing is charged later on.

        Of what others gave back in part, the rest is given back. Harmless when there is nothing
        to give back, or when it was given back before.

        Returns:
            The payment as it is now; None when there never was one.

        Raises:
            PaymentUnavailableError: The gateway does not answer, or cannot tell yet whether
                something was charged.
            PaymentRequestError: It refuses.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
