"""Work whose effects are counted in the end, on a stack that is killed and restarted."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.models.order import OrderInput, OrderResult
from durable_agents.models.react import ReActInput, ReActResult
from tests.containers.stack import Stack, report
from tests.workflows import orders, runs

LONGEST_S = 300


@asynccontextmanager
async def database_of(stack: Stack) -> AsyncGenerator[Database]:
    """The database, by new connections: the server may have been restarted."""
    opened = Database(stack.database_url)
    try:
        yield opened
    finally:
        await opened.close()


class Work:
    """Runs with effects, which are counted in the end: orders, and tickets that an agent files."""

    def __init__(self, client: Client, stack: Stack) -> None:
        self._client = client
        self._stack = stack
        self._started: dict[str, list[WorkflowHandle[Any, Any]]] = {}

    async def start(self) -> None:
        """Start an order and an agent."""
        async with database_of(self._stack) as database:
            word = await orders.new_order(database)
        task = f"Please file a ticket: my monitor {word} is broken."
        agent, order = ReActInput(task=task, agent="support"), OrderInput(order_id=word)
        self._started[word] = [
            await runs.start(self._client, "ReActWorkflow", agent, result_type=ReActResult),
            await runs.start(self._client, "OrderWorkflow", order, result_type=OrderResult),
        ]

    async def go_on(self, over: asyncio.Event) -> None:
        """Start more until it is over."""
        while not over.is_set():
            await self.start()
            await asyncio.sleep(0.2)

    async def tally(self) -> str:
        """Wait for all; each must have had its effects once. Tells how many there were."""
        for handle in [handle for two in self._started.values() for handle in two]:
            await result_of(handle)
        async with database_of(self._stack) as database:
            for word in self._started:
                facts = await orders.facts(database, word)
                left = orders.STOCK - orders.QUANTITY
                assert (facts.status, facts.charged, facts.stock) == ("fulfilled", 1, left), word
                assert await _tickets(database, word) == 1, word
        return f"{2 * len(self._started)} runs, nothing lost, nothing doubled"


async def _tickets(database: Database, word: str) -> int:
    query = text("SELECT count(*) FROM tickets WHERE strpos(description, :word) > 0")
    async with database.statement() as connection:
        return int(await connection.scalar(query, {"word": word}) or 0)


async def result_of(handle: WorkflowHandle[Any, Any]) -> Any:
    async with asyncio.timeout(LONGEST_S):
        while True:
            try:
                return await handle.result()
            except RPCError:  # the server was killed
                await asyncio.sleep(0.5)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not await condition():  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.5)
    report(what)
