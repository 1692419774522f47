"""What a kind of job is: a function with a Pydantic payload, a timeout and a retry policy."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.agent.asking import Asker
from durable_agents.agent.embedding import Embedder
from durable_agents.clients.model import ModelClient
from durable_agents.db import claims
from durable_agents.db.engine import Database
from durable_agents.models.jobs import JobRetry, JobRun, NewJob


@dataclass(frozen=True)
class JobServices:
    """What the jobs of one process share.

    Attributes:
        database: The project's own database.
        http: The client for calls to the world; it never retries.
        model: The model's client, which retries nothing.
        asker: Asks models, and records what that used.
        fetch_allow: Exact host:port pairs that fetching may reach although they are private.
        fetch_only: Hosts that alone may be fetched from; any public one when there are none.
    """

    database: Database
    http: httpx2.AsyncClient
    model: ModelClient
    asker: Asker
    embedder: Embedder | None = None
    fetch_allow: frozenset[str] = frozenset()
    fetch_only: frozenset[str] = frozenset()


@dataclass
class JobContext:
    """What a job may use besides its payload.

    Attributes:
        services: What the jobs of this process share.
        run: The job and the fence that it was handed out with.
        pool: The job's pool.
        tenant: For whom it is done; opaque.
        batch: The batch that it belongs to, or None.
        failures: How often it failed before.
    """

    services: JobServices
    run: JobRun
    pool: str = ""
    tenant: str = ""
    batch: str | None = None
    failures: int = 0
    is_finished: bool = field(default=False, init=False)

    @property
    def job_id(self) -> int:
        """The job's id."""
        return self.run.job_id

    @property
    def database(self) -> Database:
        """The project's own database."""
        return self.services.database

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that only the present holder of the job can open.

        It locks the job's row first: who was overtaken (a worker that froze and woke late)
        writes nothing, and nobody takes the job over before the transaction ends.

        Raises:
            StaleJobError: The job was handed to another, was cancelled, or is finished.
        """
        async with self.database.transaction() as connection:
            await claims.hold(connection, self.run)
            yield connection

    async def finish(
        self, connection: AsyncConnection, result: BaseModel | dict[str, Any] | None = None
    ) -> None:
        """Store the result in the same transaction as the job's effect, so that both are once.

        What `run` returns afterwards is not looked at.

        Raises:
            StaleJobError: The job was handed to another, was cancelled, or is finished.
            InputError: The result is over 256 KiB.
        """
        await claims.finish(connection, self.run, result)
        self.is_finished = True


@dataclass(frozen=True)
class JobKind:
    """A kind of job. Its name is also that of its activity on the pool's queue.

    Attributes:
        name: How jobs name it.
        payload: The model of its payload; what does not fit is refused before it runs.
        run: The function. It raises an error of the project's tree, or returns a model or None.
        timeout: The longest that one attempt may take.
        retry: How often and when it is tried again.
        about: Says in at most 200 characters what a job is about, for people who watch.
    """

    name: str
    payload: type[BaseModel]
    run: Callable[[Any, JobContext], Awaitable[BaseModel | None]]
    timeout: timedelta = timedelta(minutes=5)
    retry: JobRetry = field(default_factory=JobRetry)
    about: Callable[[Any], str] = field(default=lambda payload: "")

    def new(self, payload: BaseModel, **options: Any) -> NewJob:
        """A job of this kind; the options are the fields of `NewJob`.

        Raises:
            TypeError: The payload is not of this kind's model.
        """
        if not isinstance(payload, self.payload):
            raise TypeError(f"a job of kind {self.name} takes {self.payload.__name__}")
        given: dict[str, Any] = {
            "timeout_s": self.timeout.total_seconds(),
            "retry": self.retry,
            "about": self.about(payload)[:200],
            **options,
        }
        return NewJob(kind=self.name, payload=payload.model_dump(mode="json"), **given)
