"""The steps of an order with a gateway that fails as it is told, and how a run takes them."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from temporalio.testing import ActivityEnvironment

from activities.orders import OrderActivities
from activities.payments import PaymentActivities
from durable_agents.db import refunds
from durable_agents.db.ledger import Ledger
from durable_agents.models.errors import FinalError, PaymentUnavailableError, TransientError
from durable_agents.models.order import (
    ChargeInput,
    FulfilInput,
    GiveUpInput,
    Reservation,
    ReserveInput,
    UndoInput,
)
from durable_agents.models.payments import ChargeRequest, Payment
from tests.stateful import Steps

Step = Literal["reserve", "charge", "fulfil", "undo charge", "undo reserve", "over"]
Fate = Literal["works", "answer lost", "gateway away", "killed"]
NAMESPACE = "default"  # what the SDK's test environment says


class KilledError(Exception):
    """The worker is gone, after the gateway has done what it was asked for."""


class Gateway(Ledger):
    """The ledger, which fails as it is told."""

    fate: Fate = "works"

    async def charge(self, request: ChargeRequest) -> Payment:
        """Charge; perhaps nobody hears of it."""
        self._before()
        payment = await super().charge(request)
        self._after()
        return payment

    async def refund(
        self, order_id: str, generation: int, *, since: datetime, asked_until: datetime
    ) -> Payment | None:
        """Refund; perhaps nobody hears of it."""
        self._before()
        found = await super().refund(order_id, generation, since=since, asked_until=asked_until)
        self._after()
        return found

    def _before(self) -> None:
        if self.fate == "gateway away":
            raise PaymentUnavailableError("The gateway is away.")

    def _after(self) -> None:
        if self.fate == "killed":
            raise KilledError


@dataclass
class Run:
    """A run of the workflow: where it is, and what it knows."""

    order_id: str
    chain: str = field(default_factory=lambda: secrets.token_hex(8))
    step: Step = "reserve"
    held: Reservation = field(default_factory=Reservation)
    payment: str = ""
    is_cancelled: bool = False
    has_charged: bool = False

    def undo(self) -> None:
        """Begin to undo, the latest step first."""
        self.step = "undo charge" if self.has_charged else "undo reserve"


class Shop:
    """The activities, and how a run takes its next step."""

    def __init__(self, machine: Steps) -> None:
        self.database = machine.database
        self.gateway = Gateway(self.database)
        self.orders = OrderActivities(self.database)
        self.payments = PaymentActivities(self.database, self.gateway)

    async def advance(self, run: Run, fate: Fate = "works") -> list[tuple[Any, Any]]:
        """Take the next step of a run; the deliveries that were made."""
        if run.is_cancelled and run.step in {"reserve", "charge", "fulfil"}:
            await self._cancel(run)
            return []
        activity, request = self._next(run)
        self.gateway.fate = fate
        try:
            result = await ActivityEnvironment().run(activity, request)
        except (TransientError, KilledError):
            return [(activity, request)]  # it is tried again
        except FinalError:
            assert not run.step.startswith("undo"), run
            run.undo()
            return []
        finally:
            self.gateway.fate = "works"
        if fate != "answer lost":
            self._take(run, result)
        return [(activity, request)]

    async def _cancel(self, run: Run) -> None:
        """Undo, unless the order turns out to be fulfilled."""
        if run.step == "fulfil" and (await self.orders.look_up_order(run.order_id)).confirmation:
            run.step = "over"
            return
        run.undo()

    def _next(self, run: Run) -> tuple[Any, Any]:
        order_id, held, chain = run.order_id, run.held, run.chain
        if run.step == "reserve":
            return self.orders.reserve_inventory, ReserveInput(order_id=order_id, chain=chain)
        if run.step == "charge":
            run.has_charged = True
            return self.payments.charge_payment, ChargeInput(
                order_id=order_id,
                generation=held.charge,
                reservation=held.generation,
                amount_cents=held.amount_cents,
                chain=chain,
            )
        if run.step == "fulfil":
            return self.orders.fulfil_order, FulfilInput(
                order_id=order_id,
                reservation=held.generation,
                charge=held.charge,
                payment=run.payment,
                chain=chain,
            )
        if run.step == "undo charge":
            request = UndoInput(order_id=order_id, generation=held.charge, chain=chain)
            return self.payments.refund_payment, request
        request = UndoInput(order_id=order_id, generation=held.generation, chain=chain)
        return self.orders.release_inventory, request

    def _take(self, run: Run, result: Any) -> None:
        """Go on with what a step told."""
        if run.step == "reserve":
            run.held = result
            run.step = "over" if result.confirmation else "charge"
        elif run.step == "charge":
            run.payment, run.step = result.payment_id, "fulfil"
        elif run.step == "undo charge":
            run.step = "undo reserve"
        else:
            run.step = "over"

    async def abandon(self, run: Run) -> None:
        """Give the refund of a run up."""
        given = GiveUpInput(
            order_id=run.order_id, generation=run.held.charge, reason="By hand.", by="Ann"
        )
        await self.orders.abandon_refund(given)
        run.step = "undo reserve"

    async def open_refunds(self) -> list[refunds.OpenRefund]:
        """Refunds that are not settled."""
        async with self.database.statement() as connection:
            return await refunds.open_refunds(
                connection, NAMESPACE, older_than=timedelta(0), limit=1000
            )
