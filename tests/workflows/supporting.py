"""Starts support of a customer, and reads the thread and the tickets that come of it."""

from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.models.support import SupportInput, SupportResult
from durable_agents.models.tickets import ticket_key
from tests.workflows import runs

WORKFLOW = "SupportWorkflow"
ACCOUNT = "A-1001"


def judging(word: str) -> str:
    """What only the judge's request contains, when an issue begins with the word."""
    return f'customer\\">\\n{word}'


async def start(client: Client, issue: str, **options: object) -> WorkflowHandle[object, object]:
    request = SupportInput.model_validate({"issue": issue, "user_id": ACCOUNT, **options})
    return await runs.start(client, WORKFLOW, request, result_type=SupportResult)


async def supported(client: Client, issue: str, **options: object) -> SupportResult:
    return await runs.result_of(await start(client, issue, **options))


async def thread_of(database: Database, thread: int) -> list[tuple[str, str]]:
    """Who says what in a thread, in order; also what is stored but no part of it."""
    query = text("SELECT role, content FROM messages WHERE thread_id = :id ORDER BY message_id")
    async with database.statement() as connection:
        return [(row.role, row.content) for row in await connection.execute(query, {"id": thread})]


async def tickets_of(database: Database, thread: int) -> list[tuple[str, str | None, str]]:
    """The tickets of a thread: number, account, priority."""
    query = text("SELECT ticket_id, account_id, priority FROM tickets WHERE effect_key = :key")
    async with database.statement() as connection:
        rows = await connection.execute(query, {"key": ticket_key(thread)})
        return [(f"T-{row.ticket_id}", row.account_id, row.priority) for row in rows]
