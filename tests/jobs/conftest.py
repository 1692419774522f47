"""A knowledge base alone, and what the jobs that fill it are given."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from durable_agents.agent.asking import Asker
from durable_agents.agent.embedding import Embedder
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.clients.model import ModelClient
from durable_agents.db.engine import Database
from durable_agents.jobs.kind import JobServices
from durable_agents.runtime.settings import Settings
from tests.db.databases import migrated_database
from tests.jobs.ingesting import MODEL


@pytest.fixture(scope="package")
async def base(database_url: str) -> AsyncIterator[Database]:
    async with migrated_database(database_url) as base:
        yield base


@pytest.fixture(scope="package")
async def tools(base: Database, settings: Settings) -> AsyncIterator[JobServices]:
    model = ModelClient(base_url=settings.openai_base_url, api_key="any")
    client = EmbeddingClient(base_url=settings.openai_base_url, api_key="any", model=MODEL)
    quotas = Quotas(base)
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield JobServices(
            database=base,
            http=http,
            model=model,
            asker=Asker(model, base, Prices(), quotas),
            embedder=Embedder(client, base, Prices(), quotas),
        )
    await model.close()
    await client.close()
