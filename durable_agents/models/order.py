"""Input, result and steps of `OrderWorkflow`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from durable_agents.models.base import Deadline, Record


def _printable(value: str) -> str:
    """An id is one word that can be written to a database and a terminal.

    Raises:
        PydanticCustomError: It is not.
    """
    if not value.isprintable() or value.split() != [value]:
        raise PydanticCustomError("order_id", "an order's id is printable text without spaces")
    return value


OrderId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class LeftOver(Record):
    """What a run that was cut off had begun to undo: the generations of charge and reservation."""

    charge: int
    reservation: int = 0


class OrderInput(Record):
    """An order of the table of orders.

    `deadline_s` (seconds) bounds the steps; what has to be undone after it is undone. With
    `left_over` nothing is ordered: what an earlier run had begun to undo is undone to its end.
    """

    order_id: OrderId
    user_id: str = ""
    deadline_s: Deadline = 600
    left_over: LeftOver | None = None


class ReserveInput(Record):
    """Reserve what an order asks for; `chain` is the first run of the chain that asks."""

    order_id: str
    chain: str


class Reservation(Record):
    """Stock that is held for an order, and what it costs.

    `generation` is that of the reservation's key, `charge` the one that the charge is to have.
    An order that is fulfilled already has its confirmation here, and nothing is held.
    """

    generation: int = 0
    charge: int = 0
    amount_cents: int = 0
    confirmation: str = ""
    payment: str = ""


class ChargeInput(Record):
    """Charge an order, under a generation of its key."""

    order_id: str
    generation: int
    reservation: int
    amount_cents: int
    chain: str = ""


class FulfilInput(Record):
    """Fulfil an order on the strength of a reservation and a payment."""

    order_id: str
    reservation: int
    charge: int
    payment: str
    chain: str = ""


class Fulfilment(Record):
    """The confirmation of an order that is fulfilled; empty when it is not."""

    confirmation: str = ""
    payment: str = ""


class UndoInput(Record):
    """Undo one generation of an effect.

    Generation 0: the step told nothing; what this chain has begun is undone.
    """

    order_id: str
    generation: int
    chain: str = ""


class GiveUpInput(Record):
    """Note that a person gave up a refund: of which charge, who, and why."""

    order_id: str
    generation: int
    reason: str
    by: str = ""


class OrderResult(Record):
    """The confirmation of an order; `done` is empty when it had been fulfilled before.

    Undone is an order of which a run was to undo what was left over; `undone` says what of it.
    """

    order_id: str
    status: Literal["fulfilled", "undone"] = "fulfilled"
    confirmation: str = ""
    payment: str = ""
    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
