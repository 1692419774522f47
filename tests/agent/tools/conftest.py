from collections.abc import AsyncGenerator

import httpx2
import pytest

from durable_agents.agent.tool import ToolContext
from durable_agents.db.engine import Database


@pytest.fixture
async def world() -> AsyncGenerator[ToolContext]:
    """What a tool is given that needs no database: there is one, but nobody listens there."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
        yield ToolContext(database=nowhere, http=http, key="run/1/call/0", run_id="run")
        await nowhere.close()
