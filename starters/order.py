"""Reserve, charge and fulfil an order; what was done is undone when a step fails."""

from typing import Annotated

import typer

from durable_agents.models.order import OrderInput, OrderResult
from durable_agents.runtime.settings import Settings
from starters.options import AsJson, Deadline, Id, NoWait, PriorityKey, Tenant, User
from starters.running import Flow, StartOptions, start_and_report
from starters.terminal import main_of, note, run, say

WORKFLOW = "OrderWorkflow"


def order(
    order_id: Annotated[str, typer.Argument(help="An order of the table of orders.")],
    deadline: Deadline = 600,
    user: User = "",
    tenant: Tenant = "",
    priority: PriorityKey = 3,
    workflow_id: Id = "",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Reserve, charge and fulfil an order; what was done is undone when a step fails."""

    async def work(settings: Settings) -> None:
        request = OrderInput(order_id=order_id, user_id=user, deadline_s=deadline)
        flow = Flow(WORKFLOW, "order", f"order {order_id}", user, tenant, priority)
        # One run an order at a time: a second start while it works is refused by its id.
        options = StartOptions(workflow_id or f"order-{order_id}", not no_wait, as_json, True)
        result = await start_and_report(settings, flow, request, OrderResult, options)
        if result is not None and not as_json:
            say(f"Order {result.order_id} is {result.status}: {result.confirmation}.")
            done = ", ".join(result.done) or "nothing, it had been fulfilled before"
            note(f"Payment {result.payment}. Done: {done}.")

    run(work, as_json=as_json)


if __name__ == "__main__":
    main_of(order)
