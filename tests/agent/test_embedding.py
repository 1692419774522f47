import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from durable_agents.agent.embedding import Embedder
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite
from durable_agents.clients.embeddings import Embeddings
from durable_agents.db.engine import Database
from durable_agents.db.tables import LlmCall
from durable_agents.models.errors import ModelUnavailableError, QuotaWaitError
from tests.workflows.runs import token


@dataclass
class FakeEmbedding:
    """Gives every text a vector of its length, or fails."""

    model: str
    failure: Exception | None = None
    tokens: int = 10
    asked: list[int] = field(default_factory=list[int])

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.asked.append(len(texts))
        if self.failure is not None:
            raise self.failure
        vectors = tuple((float(len(text)), 1.0) for text in texts)
        return Embeddings(vectors, self.tokens * len(texts))

    async def close(self) -> None:
        """Nothing is open."""


def site() -> CallSite:
    return CallSite(workflow_id="pool/ingest", run_id=f"job/{token()}", step="embed", attempt=2)


async def rows_of(database: Database, where: CallSite) -> list[LlmCall]:
    async with database.statement() as connection:
        found = await connection.execute(select(LlmCall).where(LlmCall.run_id == where.run_id))
        return list(found.all())  # pyright: ignore[reportReturnType] - rows with these columns


async def test_many_texts_are_asked_for_in_batches_and_every_call_is_recorded(
    database: Database,
) -> None:
    fake, where = FakeEmbedding("m"), site()
    embedder = Embedder(fake, database, Prices("m=2/0"), Quotas(database))

    found = await embedder.embed(["x" * size for size in range(1, 131)], where)

    rows = await rows_of(database, where)
    assert fake.asked == [64, 64, 2]
    assert [vector[0] for vector in found.vectors] == list(range(1, 131))
    assert found.model == "m"
    assert [(row.model, row.agent, row.outcome, row.attempt) for row in rows] == [
        ("m", "embedding", "ok", 2)
    ] * 3
    assert sum(row.input_tokens for row in rows) == 1300
    assert sum(row.cost_usd for row in rows) == pytest.approx(1300 * 2 / 1e6)


async def test_a_call_that_failed_is_recorded_as_well(database: Database) -> None:
    where = site()
    fake = FakeEmbedding("m", ModelUnavailableError("not now"))

    with pytest.raises(ModelUnavailableError):
        await Embedder(fake, database, Prices(), Quotas(database)).embed(["text"], where)

    (row,) = await rows_of(database, where)
    assert (row.outcome, row.input_tokens) == ("ModelUnavailableError", 0)


async def test_embedding_keeps_to_the_token_quota_of_its_model(database: Database) -> None:
    model = f"m-{token()}"
    quotas = Quotas(database, tokens={model: 600.0})
    embedder = Embedder(FakeEmbedding(model, tokens=500), database, Prices(), quotas)

    asking = [embedder.embed(["x" * 2000], site()) for _ in range(4)]
    found = await asyncio.gather(*asking, return_exceptions=True)

    assert any(isinstance(one, QuotaWaitError) for one in found)


async def test_no_text_needs_no_call(database: Database) -> None:
    fake = FakeEmbedding("m")

    found = await Embedder(fake, database, Prices(), Quotas(database)).embed([], site())

    assert (found.vectors, fake.asked) == ([], [])
