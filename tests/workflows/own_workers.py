"""A Temporal server and workers beside those of the session, for settings of a test's own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from durable_agents.runtime.settings import Settings
from tests.conftest import running_workers, server_options


@asynccontextmanager
async def own_workers(settings: Settings, **changes: Any) -> AsyncGenerator[Client]:
    """Workers with other settings, on a server of their own; the database is the session's."""
    changed = settings.model_copy(update=changes)
    server = await WorkflowEnvironment.start_local(**server_options())  # pyright: ignore[reportUnknownMemberType]
    async with server, running_workers(server.client, changed):
        yield server.client
