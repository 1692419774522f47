"""Search by words alone goes on where meaning cannot be asked for."""

import pytest

from durable_agents.agent.embedding import Embedder
from durable_agents.agent.knowledge_search import find
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite
from durable_agents.db.engine import Database
from durable_agents.db.library import NewDocument, store_document
from durable_agents.db.vectors import EmbeddedTexts
from durable_agents.models.errors import (
    DurableAgentsError,
    ModelAuthenticationError,
    ModelUnavailableError,
    QuotaSizeError,
)
from tests.agent.test_embedding import FakeEmbedding
from tests.workflows.runs import token


async def stored(database: Database, model: str, vector: tuple[float, ...]) -> tuple[str, str]:
    """A document of one passage with a vector; its id, and its only word."""
    word = f"ocarina{token()}"
    document = NewDocument(f"docs/{word}", "A guide", f"docs/{word}", word)
    async with database.transaction() as connection:
        embedded = EmbeddedTexts(model, [vector])
        await store_document(connection, document, [word], embedded)
    return document.document_id, word


@pytest.mark.parametrize(
    "error",
    [QuotaSizeError("Too large."), ModelUnavailableError("Away."), ModelAuthenticationError("No.")],
    ids=lambda error: type(error).__name__,
)
async def test_words_are_looked_for_when_the_model_cannot_be_asked(
    database: Database, error: DurableAgentsError
) -> None:
    document_id, word = await stored(database, "m", (1.0, 0.0))

    async def refuse(query: str) -> EmbeddedTexts:
        raise error

    found = await find(database, refuse, word, 3)

    assert [hit.document_id for hit in found.hits] == [document_id]
    assert found.note == f"Only words were looked for: {error.message}"


@pytest.mark.parametrize(("least", "is_found"), [(0.2, False), (0.05, True)])
async def test_how_near_a_passage_must_be_is_set(
    database: Database, least: float, is_found: bool
) -> None:
    model = f"m-{token()}"
    fake = FakeEmbedding(model)  # gives a text the vector (its length, 1)
    embedder = Embedder(fake, database, Prices(), Quotas(database), least_similarity=least)
    document_id, _ = await stored(database, model, (0.0, 1.0))
    site = CallSite(workflow_id="search", run_id=token(), step="embed", attempt=1)

    found = await find(database, lambda one: embedder.embed([one], site), "x" * 10, 3)

    assert [hit.document_id for hit in found.hits] == ([document_id] if is_found else [])
