"""What the runs of the drills work on: rows of the database, which hold the run's word."""

from collections.abc import Mapping

from sqlalchemy import text

from durable_agents.db import library, pools
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED

JOBS = 2  # of a run of the pool
SECTION = """# Notes on {word}

The {word} monitor was praised for its clear display. Setting it up takes five minutes. Two schools
said that exports of the {word} monitor are slow, and that the alert for dry air came too late.
"""


async def put_task(database: Database, word: str) -> None:
    """A task that asks for a notice."""
    values = {"id": word, "title": f"Notice {word}", "body": f"Draft a notice about {word}: done."}
    await _execute(
        database,
        "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:id, :id, :title, :body)",
        values,
    )


async def put_order(
    database: Database, word: str, fulfilment: str = "works", card: str = OK
) -> None:
    """An order of three of a product of its own, of which there are ten."""
    values = {"id": word, "fulfilment": fulfilment, "card": card}
    product = "INSERT INTO products VALUES (:id, 'A test', 19.99, 10)"
    await _execute(database, product, {"id": word})
    await _execute(
        database,
        "INSERT INTO orders (order_id, user_id, sku, quantity, card, fulfilment) "
        "VALUES (:id, 'u-1', :id, 3, :card, :fulfilment)",
        values,
    )


async def put_refused_order(database: Database, word: str) -> None:
    """An order that the warehouse refuses."""
    await put_order(database, word, "fails")


async def put_unrefundable_order(database: Database, word: str) -> None:
    """An order that the warehouse refuses, and whose charge cannot be given back."""
    await put_order(database, word, "fails", REFUND_REFUSED)


async def put_document(database: Database, word: str) -> None:
    """A document of one section."""
    await _put_documents(database, word, 1)


async def put_two_documents(database: Database, word: str) -> None:
    """Two of them."""
    await _put_documents(database, word, 2)


async def _put_documents(database: Database, word: str, count: int) -> None:
    async with database.transaction() as connection:
        for number in range(count):
            await library.add_document(
                connection,
                document_id=f"{word}-{number}",
                title=f"Notes on {word}",
                source=f"drill/{word}-{number}",
                content=SECTION.format(word=word),
            )


async def put_pool(database: Database, word: str) -> None:
    """A pool that is empty."""
    async with database.statement() as connection:
        await pools.ensure_pool(connection, word, max_parallelism=JOBS)


async def _execute(database: Database, statement: str, values: Mapping[str, object]) -> None:
    async with database.statement() as connection:
        await connection.execute(text(statement), values)
