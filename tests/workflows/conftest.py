"""What several tests of workflows share."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from durable_agents.db.engine import Database
from durable_agents.db.ledger import Ledger
from durable_agents.runtime.settings import Settings
from tests.workflows.scripted_orders import ScriptedGateway, World, working


@pytest.fixture(scope="module")
async def world(
    time_skipping: WorkflowEnvironment, settings: Settings, database: Database
) -> AsyncIterator[World]:
    gateway = ScriptedGateway(Ledger(database))
    async with working(time_skipping.client, settings, gateway):
        yield World(time_skipping.client, database, gateway)
