"""Tickets for the people who support customers, as workflows know them."""

from typing import Literal, TypeAlias

from durable_agents.models.base import Record

Priority: TypeAlias = Literal["low", "medium", "high"]


class FiledTicket(Record):
    """A ticket that was filed, by the number that people know it by (T-12)."""

    ticket_id: str
    subject: str
    priority: Priority
    account_id: str | None = None


class FoundTicket(Record):
    """The ticket that stands under a key; None when there is none."""

    ticket: FiledTicket | None = None


class CreateTicketInput(Record):
    """File a ticket about a conversation, unless one stands under the key already.

    `issue` is the message in which the customer says what is wrong, `reply` what was answered
    (0: nothing). `reason` says why people have to see it.
    """

    key: str
    issue: int
    reply: int = 0
    priority: Priority = "medium"
    reason: str = ""
    user_id: str = ""


def ticket_key(thread: int) -> str:
    """What the one ticket of a conversation is known by, whoever files it."""
    return f"support/thread-{thread}/ticket"
