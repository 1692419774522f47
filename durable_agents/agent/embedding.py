"""Embedding texts: in batches, under the quotas, with a row of usage for each call."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from durable_agents.agent.daily_limits import Planned, TenantDays, within_the_day
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite, CallWatch, unwatched
from durable_agents.clients.embeddings import MAX_TEXTS, Embeddings, Vector
from durable_agents.db.engine import Database
from durable_agents.db.usage import record_call
from durable_agents.db.vectors import LEAST_SIMILARITY, EmbeddedTexts
from durable_agents.models.errors import DurableAgentsError, ModelUnavailableError

AGENT = "embedding"  # who the rows of usage say has asked
BYTES_A_TOKEN = 4
LONGEST_CALL = timedelta(minutes=2)


class EmbeddingModel(Protocol):
    """What gives texts their vectors."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Ask once."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Embedder:
    """Embeds texts with the configured model.

    Args:
        client: The model.
        database: Where usage is recorded.
        prices: What tokens cost.
        quotas: What calls have to keep to.
        days: What limits what tenants spend in a day; nothing when left out.
        watch: Is told of every call.
        least_similarity: The cosine below which two texts have nothing in common.
    """

    def __init__(
        self,
        client: EmbeddingModel,
        database: Database,
        prices: Prices,
        quotas: Quotas,
        days: TenantDays | None = None,
        *,
        watch: CallWatch | None = None,
        least_similarity: float = LEAST_SIMILARITY,
    ) -> None:
        self._client = client
        self._database = database
        self._prices = prices
        self._quotas = quotas
        self._least_similarity = least_similarity
        self._days = days
        self._watch = watch or unwatched

    @property
    def model(self) -> str:
        """The model that new vectors are of."""
        return self._client.model

    async def embed(
        self, texts: Sequence[str], site: CallSite, known: Mapping[str, Vector] | None = None
    ) -> EmbeddedTexts:
        """The vectors of some texts, asked for in batches one after the other.

        Args:
            texts: The texts; one that stands there twice is asked for once.
            site: Where the calls stand, for the rows of their usage.
            known: Vectors of this model that some of the texts have already. If the model gives
                vectors of another length by now, all texts are asked for anew.

        Raises:
            ModelUnavailableError: Another try may help.
            ModelRequestError: The server refuses.
            QuotaWaitError: The quota is used up for more than a few seconds.
            BudgetExceededError: The tenant's day is used up.
        """
        had = {text: known[text] for text in texts if text in known} if known else {}
        new = await self._vectors([text for text in dict.fromkeys(texts) if text not in had], site)
        if new and had and len({len(vector) for vector in (*had.values(), *new.values())}) > 1:
            return await self.embed(texts, site)
        vectors = had | new
        in_order = [vectors[text] for text in texts]
        return EmbeddedTexts(self.model, in_order, self._least_similarity)

    async def _vectors(self, texts: Sequence[str], site: CallSite) -> dict[str, Vector]:
        """The vectors of texts that are all different."""
        vectors: list[Vector] = []
        for start in range(0, len(texts), MAX_TEXTS):
            answer = await self._ask(texts[start : start + MAX_TEXTS], site)
            vectors += answer.vectors
        if len({len(vector) for vector in vectors}) > 1:
            raise ModelUnavailableError(
                f"The model {self.model} gave vectors of different lengths; "
                "another try may go well."
            )
        return dict(zip(texts, vectors, strict=True))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, texts: Sequence[str], site: CallSite) -> Embeddings:
        """Ask once, and record what it used whatever comes of it."""
        began = time.perf_counter()
        outcome, tokens = "cancelled", 0

        def estimate() -> int:
            return sum(len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN + 1 for text in texts)

        planned = Planned(site.payer, site.caller, self.model, LONGEST_CALL, 0, estimate)
        async with (
            within_the_day(self._days, planned) as day,
            self._quotas.turn("", self.model, estimate) as spending,
        ):
            day.asked = True
            try:
                answer = await self._client.embed(texts)
                outcome, tokens = "ok", answer.input_tokens
                spending.tokens = day.input_used = tokens
            except DurableAgentsError as error:
                outcome = type(error).__name__
                raise
            finally:
                await asyncio.shield(self._record(site, outcome, tokens, began))
        return answer

    async def _record(self, site: CallSite, outcome: str, tokens: int, began: float) -> None:
        record = site.record(
            self._prices,
            agent=AGENT,
            model=self.model,
            outcome=outcome,
            started=began,
            used=(tokens, 0),
        )
        self._watch(record)
        async with self._database.statement() as connection:
            await record_call(connection, record)
