"""Touches the tickets: files the one of a conversation, and finds it."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.db import tickets
from durable_agents.db.accounts import get_account
from durable_agents.db.engine import Database
from durable_agents.db.threads import find_message
from durable_agents.models.errors import NotFoundError
from durable_agents.models.tickets import CreateTicketInput, FiledTicket, FoundTicket

SUBJECT_CHARS = 80
ISSUE_CHARS = 8000
REPLY_CHARS = 2000


class TicketActivities:
    """Queries and mutations; each closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="create_ticket")
    async def create_ticket(self, request: CreateTicketInput) -> FiledTicket:
        """File the ticket of a conversation; one that stands already gets the priority, if higher.

        Raises:
            NotFoundError: A message of the conversation is not there.
        """
        async with self._database.statement() as connection:
            issue = (await find_message(connection, request.issue)).content
            reply = ""
            if request.reply:
                reply = (await find_message(connection, request.reply)).content
        filed = await tickets.file_ticket(
            self._database,
            key=request.key,
            run_id=step_of().run_id,
            subject=_shortened(" ".join(issue.split()), SUBJECT_CHARS),
            description=_description(request, issue, reply),
            priority=request.priority,
            account_id=await self._account_of(request.user_id),
            first_stands=True,
        )
        async with self._database.transaction() as connection:
            await tickets.raise_priority(connection, key=request.key, priority=request.priority)
            return await tickets.find_ticket(connection, key=request.key) or filed

    @activity.defn(name="find_ticket")
    async def find_ticket(self, key: str) -> FoundTicket:
        """Find the ticket that stands under a key."""
        async with self._database.statement() as connection:
            return FoundTicket(ticket=await tickets.find_ticket(connection, key=key))

    async def _account_of(self, user_id: str) -> str | None:
        """The account of a user; a user who has none can be helped as well."""
        if not user_id:
            return None
        try:
            async with self._database.statement() as connection:
                return (await get_account(connection, user_id)).account_id
        except NotFoundError:
            return None


def _description(request: CreateTicketInput, issue: str, reply: str) -> str:
    """What a colleague needs to begin: the customer's words, why, and what was answered."""
    parts = [
        f"The customer{f' {request.user_id}' if request.user_id else ''} wrote:",
        _shortened(issue, ISSUE_CHARS),
    ]
    if request.reason:
        parts.append(f"Why people have to see it: {request.reason}")
    parts.append(f"What was answered:\n\n{_shortened(reply, REPLY_CHARS)}" if reply else "")
    return "\n\n".join(part for part in parts if part)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
