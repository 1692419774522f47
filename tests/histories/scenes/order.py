"""Runs of `OrderWorkflow` to record."""

from durable_agents.models.order import LeftOver, OrderInput
from tests.histories.scene import Handle, Scene, cancel_in
from tests.workflows.runs import activities_of, status_of, until


async def retry_then_abandon(handle: Handle) -> None:
    """Have what is stuck tried again, in vain, and then give it up."""
    for activity_id, signal, decision in (
        ("undo-charge-payment", "retry_compensation", {"by": "Ann"}),
        ("undo-charge-payment-2", "abandon_compensation", {"by": "Ann", "reason": "By hand."}),
    ):

        async def stuck(activity_id: str = activity_id) -> bool:
            waits = bool((await status_of(handle)).waiting_for)
            return waits and activity_id in await activities_of(handle)

        await until(stuck, f"{activity_id} keeps failing")
        await handle.signal(signal, decision)


async def give_up_by_update(handle: Handle) -> None:
    """Give up what is stuck, as the command does it."""

    async def stuck() -> bool:
        return bool((await status_of(handle)).waiting_for)

    await until(stuck, "the refund keeps failing")
    verdict = {"verdict": "abandon", "by": "Ann", "reason": "By hand."}
    await handle.execute_update("decide_compensation", verdict)  # pyright: ignore[reportUnknownMemberType] - the SDK's type


SCENES = (
    Scene("order.fulfilled", OrderInput(order_id="1001")),
    Scene("order.declined", OrderInput(order_id="1002")),
    Scene("order.fulfilment_fails", OrderInput(order_id="1003")),
    Scene("order.out_of_stock", OrderInput(order_id="1004")),
    Scene("order.deadline", OrderInput(order_id="1005", deadline_s=0.5)),
    Scene(
        "order.cancelled",
        OrderInput(order_id="1005"),
        meddle=cancel_in("charge payment"),
    ),
    Scene(
        "order.left_over",
        OrderInput(order_id="1006", left_over=LeftOver(charge=1, reservation=1)),
    ),
    Scene("order.parked", OrderInput(order_id="1006"), meddle=retry_then_abandon),
    Scene("order.given_up", OrderInput(order_id="1006"), meddle=give_up_by_update),
)
