"""The tools that read and write the project's own database, on a real one."""

import json
import uuid
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select

from durable_agents.agent.tool import Tool, ToolContext
from durable_agents.agent.toolbox import parse_arguments
from durable_agents.agent.tools.file_ticket import FILE_TICKET
from durable_agents.agent.tools.lookup_account import LOOKUP_ACCOUNT
from durable_agents.agent.tools.search_knowledge import SEARCH_KNOWLEDGE, Passages
from durable_agents.db import library
from durable_agents.db.accounts import AccountRecord
from durable_agents.db.engine import Database
from durable_agents.db.tables import Account, Ticket
from durable_agents.models.errors import NotFoundError, ToolArgumentsError
from durable_agents.models.tickets import FiledTicket


@pytest.fixture
async def account(database: Database) -> str:
    """The id of an account of this test's own."""
    account_id = f"A-{uuid.uuid4().hex[:8]}"
    row = {"name": "Ada", "email": "ada@example.com", "plan": "pro", "city": "Oslo"}
    async with database.transaction() as connection:
        await connection.execute(
            insert(Account).values(account_id=account_id, balance_usd=12.5, **row)
        )
    return account_id


async def call(tool: Tool, database: Database, *, key: str = "", **arguments: Any) -> Any:
    async with httpx2.AsyncClient(trust_env=False) as http:
        context = ToolContext(
            database=database, http=http, key=key or uuid.uuid4().hex, run_id="run"
        )
        return await tool.run(parse_arguments(tool, json.dumps(arguments)), context)


async def test_an_account_is_looked_up_by_its_id(database: Database, account: str) -> None:
    found = await call(LOOKUP_ACCOUNT, database, account_id=f" {account} ")

    assert isinstance(found, AccountRecord)
    assert (found.account_id, found.name, found.balance_usd) == (account, "Ada", 12.5)


async def test_an_account_that_is_not_there_is_told_as_such(database: Database) -> None:
    with pytest.raises(NotFoundError, match="A-none"):
        await call(LOOKUP_ACCOUNT, database, account_id="A-none")


async def test_passages_of_the_knowledge_base_are_found_with_their_source(
    database: Database,
) -> None:
    async with database.transaction() as connection:
        await library.add_document(
            connection,
            document_id="tool-test",
            title="Ocarina care",
            source="care.md",
            content="An ocarina is wiped with a dry cloth after playing.",
        )

    found = await call(SEARCH_KNOWLEDGE, database, query="ocarina cloth", limit=3)

    assert isinstance(found, Passages)
    assert [(hit.title, hit.source) for hit in found.hits] == [("Ocarina care", "care.md")]
    assert "dry cloth" in found.hits[0].excerpt
    assert found.hits[0].score > 0


async def test_a_search_that_finds_nothing_is_no_error(database: Database) -> None:
    assert (await call(SEARCH_KNOWLEDGE, database, query="xylographer")).hits == []


async def test_a_ticket_is_filed_once_for_each_call(database: Database, account: str) -> None:
    arguments = {"subject": "Refund", "description": "Charged twice.", "account_id": account}

    first = await call(FILE_TICKET, database, key=f"key-{account}", **arguments, priority="high")
    again = await call(FILE_TICKET, database, key=f"key-{account}", **arguments, priority="high")

    assert isinstance(first, FiledTicket)
    assert first == again
    async with database.statement() as connection:
        rows = await connection.execute(select(Ticket).filter_by(account_id=account))
    (filed,) = rows.mappings()
    kept = (f"T-{filed['ticket_id']}", filed["subject"], filed["priority"])
    assert kept == (first.ticket_id, "Refund", "high")


@pytest.mark.parametrize("nobody", [{}, {"account_id": None}, {"account_id": "  "}])
async def test_a_ticket_needs_no_account(database: Database, nobody: dict[str, Any]) -> None:
    filed = await call(FILE_TICKET, database, subject="Lamp", description="Dark.", **nobody)

    assert (filed.account_id, filed.priority) == (None, "medium")


async def test_a_ticket_for_an_unknown_account_is_refused(database: Database) -> None:
    with pytest.raises(NotFoundError, match="A-none"):
        await call(FILE_TICKET, database, subject="Lamp", description="Dark.", account_id="A-none")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (FILE_TICKET, {"subject": "", "description": "Dark."}),
        (FILE_TICKET, {"subject": "Lamp", "description": "x" * 10_001}),
        (FILE_TICKET, {"subject": "Lamp", "description": "Dark.", "priority": "urgent"}),
        (SEARCH_KNOWLEDGE, {"query": " "}),
        (SEARCH_KNOWLEDGE, {"query": "lamp", "limit": 0}),
        (SEARCH_KNOWLEDGE, {"query": "lamp", "limit": 1000}),
        (LOOKUP_ACCOUNT, {"account_id": ""}),
        (LOOKUP_ACCOUNT, {}),
    ],
)
def test_arguments_out_of_bounds_do_not_fit(tool: Tool, arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolArgumentsError):
        parse_arguments(tool, json.dumps(arguments))
