"""F12: reserve, charge and fulfil an order; what was done is undone when a step fails."""

import asyncio
from contextlib import suppress
from functools import partial

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import FailureError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from activities.shielding import to_its_end
    from durable_agents.models import queues
    from durable_agents.models.order import (
        ChargeInput,
        FulfilInput,
        Fulfilment,
        GiveUpInput,
        LeftOver,
        OrderInput,
        OrderResult,
        Reservation,
        ReserveInput,
        UndoInput,
    )
    from durable_agents.models.payments import Payment
    from durable_agents.models.saga import TakenVerdict, Undone
    from workflows import policies
    from workflows.flow import is_final
    from workflows.saga import Compensation, SagaFlow

RESERVE = "reserve inventory"
CHARGE = "charge payment"
FULFIL = "fulfil order"
UNTIL_ENDED = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED


@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class OrderWorkflow(SagaFlow):
    """Work through an order.

    Takes the queries `status`, `outcome` and `compensation`, the update `decide_compensation`,
    and the signals `retry_compensation` and `abandon_compensation`. Ends with the confirmation;
    an order that is fulfilled already gets the same one again. When a step fails, at the deadline
    and on a cancel, the charge is given back and the stock is released; after fulfilment nothing
    is undone any more. A refund that a terminate cut off is taken up by a run with `left_over`,
    which workers start: it parks and asks people just as the run did that it replaces.
    """

    def __init__(self) -> None:
        """Begin with nothing reserved."""
        super().__init__()
        self._reservation = Reservation()

    @workflow.run
    async def run(self, request: OrderInput) -> OrderResult:
        """Reserve, charge, fulfil; or undo."""
        if request.left_over is not None:
            return await self._undo_left_over(request.order_id, request.left_over)
        return await self._to_end_or_undone(request.deadline_s, self._work(request.order_id))

    async def _work(self, order_id: str) -> OrderResult:
        self._reservation = await self._saga_step(
            RESERVE,
            self._reserve(order_id),
            Compensation(RESERVE, partial(self._release, order_id)),
        )
        if self._reservation.confirmation:
            self._done.clear()
            return self._result(order_id, self._reservation)
        payment = await self._saga_step(CHARGE, self._charge(order_id), self._refunding(order_id))
        return self._result(order_id, await self._fulfil_or_find_out(order_id, payment))

    async def _undo_left_over(self, order_id: str, left: LeftOver) -> OrderResult:
        """Undo what a run had begun to undo when it was cut off; no cancel keeps from it."""
        self._reservation = Reservation(generation=left.reservation, charge=left.charge)
        releasing = Compensation(RESERVE, partial(self._release, order_id))
        self._compensations += [releasing, self._refunding(order_id)]
        await self._undo_all()
        self._state = "completed"
        return OrderResult(order_id=order_id, status="undone", undone=tuple(self._undone))

    def _refunding(self, order_id: str) -> Compensation:
        return Compensation(
            CHARGE, partial(self._refund, order_id), partial(self._give_up, order_id)
        )

    async def _fulfil_or_find_out(self, order_id: str, payment: Payment) -> Fulfilment:
        """Fulfil; when that did not tell how it went, look: what is fulfilled is not undone."""
        try:
            return await self._saga_step(FULFIL, self._fulfil(order_id, payment), is_last=True)
        except (FailureError, asyncio.CancelledError) as error:
            if is_final(error):
                raise
            looking = asyncio.ensure_future(self._look_up(order_id))
            with suppress(asyncio.CancelledError):  # what is found tells how the run ends
                await to_its_end(looking)
            found = looking.result()
            if not found.confirmation:
                raise
            self._done.append(FULFIL)
            return found

    def _result(self, order_id: str, found: Fulfilment | Reservation) -> OrderResult:
        return OrderResult(
            order_id=order_id,
            confirmation=found.confirmation,
            payment=found.payment,
            done=tuple(self._done),
        )

    async def _reserve(self, order_id: str) -> Reservation:
        return await workflow.execute_activity_method(
            OrderActivities.reserve_inventory,
            ReserveInput(order_id=order_id, chain=_chain()),
            activity_id="reserve-inventory",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            cancellation_type=UNTIL_ENDED,
            summary=f"reserve what order {order_id} asks for"[:200],
        )

    async def _charge(self, order_id: str) -> Payment:
        held = self._reservation
        return await workflow.execute_activity_method(
            PaymentActivities.charge_payment,
            ChargeInput(
                order_id=order_id,
                generation=held.charge,
                reservation=held.generation,
                amount_cents=held.amount_cents,
                chain=_chain(),
            ),
            activity_id="charge-payment",
            task_queue=queues.TOOLS,
            start_to_close_timeout=policies.PAYMENT_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.PAYMENT,
            cancellation_type=UNTIL_ENDED,
            summary=f"charge {held.amount_cents / 100:.2f} USD for order {order_id}"[:200],
        )

    async def _fulfil(self, order_id: str, payment: Payment) -> Fulfilment:
        held = self._reservation
        return await workflow.execute_activity_method(
            OrderActivities.fulfil_order,
            FulfilInput(
                order_id=order_id,
                reservation=held.generation,
                charge=held.charge,
                payment=payment.payment_id,
                chain=_chain(),
            ),
            activity_id="fulfil-order",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            cancellation_type=UNTIL_ENDED,
            summary=f"fulfil order {order_id}"[:200],
        )

    async def _look_up(self, order_id: str) -> Fulfilment:
        return await workflow.execute_activity_method(
            OrderActivities.look_up_order,
            order_id,
            activity_id="look-up-order",
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            summary=f"see whether order {order_id} is fulfilled"[:200],
        )

    async def _refund(self, order_id: str, activity_id: str) -> Undone:
        return await workflow.execute_activity_method(
            PaymentActivities.refund_payment,
            UndoInput(order_id=order_id, generation=self._reservation.charge, chain=_chain()),
            activity_id=activity_id,
            task_queue=queues.TOOLS,
            start_to_close_timeout=policies.PAYMENT_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.PAYMENT,
            summary=f"give back what order {order_id} was charged"[:200],
        )

    async def _give_up(self, order_id: str, verdict: TakenVerdict, activity_id: str) -> None:
        """Settle the refund as given up: the order may be charged again from here on."""
        await workflow.execute_activity_method(
            OrderActivities.abandon_refund,
            GiveUpInput(
                order_id=order_id,
                generation=self._reservation.charge,
                reason=verdict.reason,
                by=verdict.by,
            ),
            activity_id=activity_id,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            summary=f"note that the refund of order {order_id} was given up"[:200],
        )

    async def _release(self, order_id: str, activity_id: str) -> Undone:
        return await workflow.execute_activity_method(
            OrderActivities.release_inventory,
            UndoInput(order_id=order_id, generation=self._reservation.generation, chain=_chain()),
            activity_id=activity_id,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.DATABASE,
            summary=f"put what order {order_id} had reserved back into stock"[:200],
        )


def _chain() -> str:
    """The first run of this run's chain: the same after a reset."""
    return workflow.info().first_execution_run_id
