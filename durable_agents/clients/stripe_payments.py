"""Payments through Stripe, by its official library.

A payment is a PaymentIntent that is confirmed as it is made; its metadata name the order and
the generation. Stripe's idempotency keys last a day and keep the answers to requests that failed
with 5xx: so an answer that Stripe only replays is looked up, and asked for under the next key.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

import httpx2
import stripe

from durable_agents.clients.stripe_http import Httpx2Client
from durable_agents.models.errors import (
    ConfigurationError,
    DurableAgentsError,
    PaymentRequestError,
    PaymentUnavailableError,
)
from durable_agents.models.payments import ChargeRequest, Payment

API_VERSION = "2024-06-20"  # later ones rename `payment_method_types`
TIMEOUT_S = 18  # with a look-up before it, within the timeout of the step
CLOCKS_DIFFER = timedelta(minutes=5)
SETTLED_AFTER = timedelta(seconds=30)  # a request that was under way has arrived or never will
KEYS_LAST = timedelta(days=2)  # a day at least, says Stripe; only what is younger is replayed
MOST_KEYS = 8
PAGE = 100
ORDER, GENERATION = "order_id", "generation"

SAMPLE_CARDS: Final = {
    "tok_ok": "pm_card_visa",
    "tok_declined": "pm_card_visa_chargeDeclined",
}
"""What Stripe's test mode calls the cards of the sample data."""


class StripeGateway:
    """Charges and refunds through Stripe.

    Args:
        api_key: The secret key.
        api_base: Where Stripe's API is.
        http: Sends the requests; one with a timeout when left out.
    """

    def __init__(
        self,
        *,
        api_key: str,
        api_base: str = stripe.DEFAULT_API_BASE,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._stripe = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=Httpx2Client(self._http),
        )

    async def charge(self, request: ChargeRequest) -> Payment:
        """Charge; the same order and generation again gives the same payment."""
        base = _key(request.order_id, request.generation, "charge")
        for number in range(1, MOST_KEYS + 1):
            try:
                intent = await self._create(request, base if number == 1 else f"{base}/{number}")
            except stripe.CardError as error:
                return Payment(
                    payment_id=_intent_of(error),
                    status="declined",
                    reason=error.user_message or "the card was declined",
                )
            except stripe.StripeError as error:
                if not _is_replayed_failure(error):
                    _raise(error)
                found = await self.find(
                    request.order_id,
                    request.generation,
                    since=datetime.now(UTC) - KEYS_LAST,
                )
                if found is not None:
                    return found
            else:
                return await self._payment(intent)
        raise PaymentUnavailableError(
            f"Stripe answers every try to charge order {request.order_id} with a failure. "
            "See its dashboard, and try again later."
        )

    async def _create(self, request: ChargeRequest, key: str) -> stripe.PaymentIntent:
        params: Any = {  # typed there for the library's own API version
            "amount": request.amount_cents,
            "currency": request.currency,
            "payment_method": SAMPLE_CARDS.get(request.card, request.card),
            "payment_method_types": ["card"],
            "confirm": True,
            "off_session": True,
            "metadata": {ORDER: request.order_id, GENERATION: str(request.generation)},
        }
        return await self._stripe.v1.payment_intents.create_async(params, {"idempotency_key": key})

    async def find(self, order_id: str, generation: int, *, since: datetime) -> Payment | None:
        """Look a payment up by its metadata, among those made since."""
        intent = await self._find(order_id, generation, since)
        return None if intent is None else await self._payment(intent)

    async def _find(
        self, order_id: str, generation: int, since: datetime
    ) -> stripe.PaymentIntent | None:
        """The latest intent for an order and a generation; one that was paid goes before.

        Stripe's list is complete at once and begins with the newest; its search lags behind. No
        payment is older than the claim to charge, but for what our clock is ahead of Stripe's: so
        the list ends there, however many payments the account has.
        """
        wanted, oldest = (order_id, str(generation)), int((since - CLOCKS_DIFFER).timestamp())
        candidate: stripe.PaymentIntent | None = None
        try:
            page = await self._stripe.v1.payment_intents.list_async(
                {"limit": PAGE, "created": {"gte": oldest}}
            )
            async for intent in page.auto_paging_iter():
                if _named_by(intent) != wanted:
                    continue
                if intent.status == "succeeded":
                    return intent
                candidate = candidate or intent
        except stripe.StripeError as error:
            _raise(error)
        return candidate

    async def refund(
        self, order_id: str, generation: int, *, since: datetime, asked_until: datetime
    ) -> Payment | None:
        """Refund what was paid; cancel what was not, so that it cannot be paid later."""
        intent = await self._find(order_id, generation, since)
        if intent is None:
            if datetime.now(UTC) - asked_until < SETTLED_AFTER:
                raise PaymentUnavailableError(
                    f"Whether order {order_id} was charged is not known yet: Stripe has no "
                    "payment for it so far. Look it up again in half a minute."
                )
            return None
        if intent.status == "succeeded":
            return await self._give_back(intent, _key(order_id, generation, "refund"))
        payment = await self._payment(intent)
        if payment.status == "declined" and intent.status != "canceled":
            await self._cancel(intent)
        return payment

    async def _give_back(self, intent: stripe.PaymentIntent, base: str) -> Payment:
        """Give back what is left of a payment; the amount is part of the key where it is a rest.

        Stripe refuses another amount under a key that was used, and more than what is left.
        """
        before = await self._given_back(intent)
        if before >= intent.amount:
            return Payment(payment_id=intent.id, status="refunded")
        refunded = Payment(payment_id=intent.id, status="refunded", part_refunded_cents=before)
        left = intent.amount - before
        key = f"{base}/rest-{left}" if before else base
        for number in range(1, MOST_KEYS + 1):
            try:
                await self._stripe.v1.refunds.create_async(
                    {"payment_intent": intent.id, "amount": left},
                    {"idempotency_key": key if number == 1 else f"{key}/{number}"},
                )
            except stripe.InvalidRequestError as error:
                if error.code != "charge_already_refunded":
                    _raise(error)
                return refunded
            except stripe.StripeError as error:
                if not _is_replayed_failure(error):
                    _raise(error)
                if await self._given_back(intent) >= intent.amount:
                    return refunded
            else:
                return refunded
        raise PaymentUnavailableError(
            f"Stripe answers every try to refund the payment {intent.id} with a failure. "
            "See its dashboard, and try again later."
        )

    async def _cancel(self, intent: stripe.PaymentIntent) -> None:
        try:
            await self._stripe.v1.payment_intents.cancel_async(intent.id)
        except stripe.StripeError as error:
            _raise(error)

    async def _payment(self, intent: stripe.PaymentIntent) -> Payment:
        """What an intent says, in our words.

        Raises:
            PaymentUnavailableError: Its payment is still under way.
        """
        if intent.status == "succeeded":
            given_back = await self._given_back(intent)
            if given_back >= intent.amount:
                return Payment(payment_id=intent.id, status="refunded")
            return Payment(payment_id=intent.id, status="charged", part_refunded_cents=given_back)
        if intent.status == "processing":
            raise PaymentUnavailableError(
                f"The payment {intent.id} is still being processed at Stripe. "
                "Look it up again in a while."
            )
        told = intent.last_payment_error
        reason = (told.message if told else "") or f"Stripe says {intent.status}"
        return Payment(payment_id=intent.id, status="declined", reason=reason)

    async def _given_back(self, intent: stripe.PaymentIntent) -> int:
        """How much of a payment is given back, in cents, by us or by others."""
        try:
            page = await self._stripe.v1.refunds.list_async(
                {"payment_intent": intent.id, "limit": PAGE}
            )
            refunds = [refund async for refund in page.auto_paging_iter()]
        except stripe.StripeError as error:
            _raise(error)
        return sum(one.amount for one in refunds if one.status not in {"failed", "canceled"})

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()


def _named_by(intent: stripe.PaymentIntent) -> tuple[str, str]:
    """The order and the generation that an intent is for; empty for one of somebody else."""
    metadata: dict[str, Any] = intent.to_dict().get("metadata") or {}
    return str(metadata.get(ORDER, "")), str(metadata.get(GENERATION, ""))


def _key(order_id: str, generation: int, step: str) -> str:
    return f"order/{order_id}/{step}/{generation}"


def _is_replayed_failure(error: stripe.StripeError) -> bool:
    """Whether this is an earlier failure of Stripe's, told again for the same key."""
    replayed = (error.headers or {}).get("idempotent-replayed") == "true"
    return replayed and (error.http_status or 0) >= 500


def _intent_of(error: stripe.CardError) -> str:
    intent = error.error.payment_intent if error.error else None
    return intent.id if intent else ""


def _raise(error: stripe.StripeError) -> NoReturn:
    """Name a failure of Stripe's: final or not by its status, never by its text."""
    raise _named(error) from error


def _named(error: stripe.StripeError) -> DurableAgentsError:
    status, told = error.http_status or 0, error.user_message or type(error).__name__
    told = " ".join(told.split()).rstrip(".")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return ConfigurationError(
            f"Stripe does not accept the key ({told}): correct STRIPE_API_KEY."
        )
    if 400 <= status < 500 and status not in {408, 409, 429}:
        return PaymentRequestError(
            f"Stripe refuses the request ({told}). Correct the order or its card."
        )
    return PaymentUnavailableError(
        f"Stripe does not answer as it should ({told}). Another try may go through."
    )
