"""A database with rows of runs, of whatever age, to see which of them are deleted."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from durable_agents.db.engine import Database
from tests.db.databases import migrated_database

OLD, YOUNG = 100, 0  # days


class Rows:
    """Writes rows, and counts those that are left."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def run(self, statement: str, **values: Any) -> Any:
        async with self.database.transaction() as connection:
            found = await connection.execute(text(statement), values)
            return found.scalar() if found.returns_rows else None

    async def count(self, table: str, condition: str = "TRUE", **values: Any) -> int:
        counting = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - of tests
        return int(await self.run(counting, **values))

    async def thread(self, *, user: str = "u", run: str = "", age: int = OLD) -> int:
        """A thread with two messages, the second behind the first."""
        run = run or str(uuid.uuid4())
        thread = await self.run(
            "INSERT INTO threads (user_id, agent, run_id, step, created_at) "
            "VALUES (:user, 'a', :run, 's', now() - make_interval(days => :age)) "
            "RETURNING thread_id",
            user=user,
            run=run,
            age=age,
        )
        for index in (0, 1):
            await self.run(
                "INSERT INTO messages (thread_id, parent_id, position, role, content, run_id, "
                "step, index, created_at) SELECT :thread, max(message_id), :index, 'user', 'x', "
                ":run, 's', :index, now() - make_interval(days => :age) FROM messages "
                "WHERE thread_id = :thread",
                thread=thread,
                run=run,
                index=index,
                age=age,
            )
        return int(thread)

    async def effect(self, key: str, *, run: str, age: int = OLD) -> None:
        await self.run(
            "INSERT INTO effects (key, generation, fingerprint, result, run_id, created_at) "
            "VALUES (:key, 1, 'f', '1', :run, now() - make_interval(days => :age))",
            key=key,
            run=run,
            age=age,
        )

    async def call(self, *, user: str = "u", run: str, age: int = OLD, workflow: str = "w") -> None:
        await self.run(
            "INSERT INTO llm_calls (workflow_id, run_id, step, attempt, agent, model, user_id, "
            "outcome, input_tokens, output_tokens, cost_usd, latency_ms, created_at) VALUES "
            "(:workflow, :run, 's', 1, 'a', 'm', :user, 'ok', 10, 2, 0.5, 3, "
            "now() - make_interval(days => :age))",
            workflow=workflow,
            user=user,
            run=run,
            age=age,
        )

    async def request(
        self,
        *,
        run: str,
        status: str = "approved",
        for_whom: str = "",
        age: int = OLD,
        step: str = "s",
    ) -> int:
        """A request for a decision, and a decision on it."""
        request = await self.run(
            "INSERT INTO approval_requests (workflow_id, run_id, step, digest, kind, subject, "
            "title, content, for_whom, status, decided_at, created_at) VALUES ('w', :run, :step, "
            "'d', 'review', 'task-1', 'a letter', 'Dear Ann', :for_whom, :status, "
            "now() - make_interval(days => :age), now() - make_interval(days => :age)) "
            "RETURNING request_id",
            run=run,
            step=step,
            status=status,
            for_whom=for_whom,
            age=age,
        )
        await self.run(
            "INSERT INTO approval_decisions (request_id, number, verdict, by, feedback) "
            "VALUES (:request, 1, 'approve', 'kim', 'good for Ann')",
            request=request,
        )
        return int(request)


@asynccontextmanager
async def empty_rows(url: str) -> AsyncGenerator[Rows]:
    """A database of a test's own."""
    async with migrated_database(url) as database:
        yield Rows(database)
