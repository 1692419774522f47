"""Reserve, charge and fulfil an order; what was done is undone when a step fails."""

from typing import Annotated

import typer

from durable_agents.models.order import OrderInput, OrderResult
from starters.flow_command import Given, Start, flow_command
from starters.terminal import main_of, note, say


@flow_command("OrderWorkflow", deadline=600)
def order(
    given: Given,
    order_id: Annotated[str, typer.Argument(help="An order of the table of orders.")],
) -> Start[OrderResult]:
    """Reserve, charge and fulfil an order; what was done is undone when a step fails."""
    return Start(
        OrderInput(order_id=order_id, user_id=given.user, deadline_s=given.deadline),
        f"order {order_id}",
        OrderResult,
        show,
        # One run an order at a time: a second start while it works is refused by its id.
        workflow_id=f"order-{order_id}",
        undoes=True,
    )


def show(result: OrderResult) -> None:
    """Print what became of the order, and what was done for it."""
    say(f"Order {result.order_id} is {result.status}: {result.confirmation}.")
    done = ", ".join(result.done) or "nothing, it had been fulfilled before"
    note(f"Payment {result.payment}. Done: {done}.")


if __name__ == "__main__":
    main_of(order)
