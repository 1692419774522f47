"""What the activities of one process share: connections and clients."""

from dataclasses import dataclass

import httpx2
from temporalio import activity
from temporalio.client import Client
from temporalio.common import MetricMeter

from activities.call_site import call_site
from durable_agents.agent.asking import Asker
from durable_agents.agent.daily_limits import DailyLimits, TenantDays
from durable_agents.agent.embedding import Embedder
from durable_agents.agent.knowledge_search import EmbedQuery
from durable_agents.agent.prices import Prices
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallWatch
from durable_agents.agent.tool import ToolContext
from durable_agents.clients.embeddings import EmbeddingClient
from durable_agents.clients.model import ModelClient
from durable_agents.clients.notifications import Notifier
from durable_agents.clients.payments import PaymentGateway
from durable_agents.db.engine import Database
from durable_agents.db.ledger import Ledger
from durable_agents.jobs.kind import JobServices
from durable_agents.jobs.lanes import wake
from durable_agents.jobs.stopping import cancel_batch, end_workflow
from durable_agents.models.errors import ConfigurationError
from durable_agents.models.work_pool import JobWorkflow
from durable_agents.runtime.settings import NO_DATABASE, NO_MODEL, Settings
from workers.worker_metrics import WorkerMetrics

HTTP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Resources:
    """Connections and clients of one process; opened once, closed at the end."""

    settings: Settings
    database: Database
    http: httpx2.AsyncClient
    model: ModelClient
    quotas: Quotas
    asker: Asker
    notifier: Notifier
    payments: PaymentGateway
    metrics: WorkerMetrics
    embedder: Embedder | None = None
    client: Client | None = None

    @classmethod
    def open(cls, settings: Settings, *, meter: MetricMeter = MetricMeter.noop) -> "Resources":
        """Make what activities need; nothing is connected before it is used.

        Args:
            settings: What is configured.
            meter: Where what they count is shown; nowhere when left out.

        Raises:
            ConfigurationError: No database or no model is named, or NOTIFY_URLS is not usable.
        """
        url = settings.database_url.get_secret_value()
        if not url:
            raise ConfigurationError(NO_DATABASE)
        key = settings.openai_api_key.get_secret_value()
        if not settings.names_model:
            raise ConfigurationError(NO_MODEL)
        if settings.simulator == "on" and not (settings.simulator_url or settings.openai_base_url):
            raise ConfigurationError(
                "SIMULATOR is on, but no simulator runs here. Start one with `durable-agents up`, "
                "or set SIMULATOR_URL to where it is."
            )
        database = Database(url, pool_size=settings.database_pool_size)
        model = ModelClient(
            base_url=settings.openai_base_url, api_key=key, model=settings.openai_model
        )
        http = httpx2.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False)
        metrics = WorkerMetrics(meter)
        quotas = Quotas(
            database,
            calls=settings.quotas,
            tokens=settings.model_tokens_per_minute,
            watch=metrics,
        )
        prices = Prices(settings.model_prices)
        days = TenantDays(database, daily_limits(settings), prices)
        asker = Asker(model, database, prices, quotas, days, watch=metrics.called)
        notifier = Notifier(settings.notify_urls.get_secret_value())
        payments = _gateway(settings, database)
        embedder = embedder_of(settings, database, quotas, days, metrics.called)
        return cls(
            settings, database, http, model, quotas, asker, notifier, payments, metrics, embedder
        )

    def tool_context(self, key: str, user_id: str, run_id: str) -> ToolContext:
        """What a tool may use for one call."""
        return ToolContext(
            database=self.database,
            http=self.http,
            key=key,
            user_id=user_id,
            run_id=run_id,
            geocoding_url=self.settings.geocoding_url,
            forecast_url=self.settings.forecast_url,
            fetch_allow=frozenset(self.settings.fetch_allow),
            fetch_only=frozenset(self.settings.fetch_only),
            embed_query=self._embed_query(user_id),
        )

    def job_services(self) -> JobServices:
        """What jobs of the work pools may use."""
        return JobServices(
            database=self.database,
            http=self.http,
            model=self.model,
            asker=self.asker,
            embedder=self.embedder,
            fetch_allow=frozenset(self.settings.fetch_allow),
            fetch_only=frozenset(self.settings.fetch_only),
        )

    async def wake_pool(self, pool: str) -> int:
        """Wake the lanes that a work pool needs; tells how many.

        Raises:
            ConfigurationError: These resources are not those of a worker.
        """
        return await wake(self._temporal(), self.database, pool)

    async def cancel_batch(self, batch: str) -> int:
        """Cancel what is left of a batch of jobs; tells how many that run were told to stop.

        Raises:
            ConfigurationError: These resources are not those of a worker.
            NotFoundError: There is no such batch.
        """
        return await cancel_batch(self._temporal(), self.database, batch)

    async def end_workflow(self, run: JobWorkflow) -> None:
        """End the workflow of a job that does not stop.

        Raises:
            ConfigurationError: These resources are not those of a worker.
            ServiceUnavailableError: Temporal does not answer.
        """
        await end_workflow(self._temporal(), run)

    def _temporal(self) -> Client:
        if self.client is None:
            raise ConfigurationError("Only a worker wakes the lanes of a pool; start one.")
        return self.client

    def _embed_query(self, user_id: str) -> EmbedQuery | None:
        """How a tool gets the vector of what it looks for; None without an embedding model."""
        if self.embedder is None or not activity.in_activity():
            return None
        embedder, site = self.embedder, call_site(user_id)
        return lambda query: embedder.embed([query], site)

    async def close(self) -> None:
        """Close what was opened."""
        await self.model.close()
        if self.embedder is not None:
            await self.embedder.close()
        await self.payments.close()
        await self.http.aclose()
        await self.database.close()


def daily_limits(settings: Settings) -> DailyLimits:
    """What tenants may spend in a day."""
    return DailyLimits(
        tokens=settings.tenant_daily_tokens,
        usd=settings.tenant_daily_usd,
        calls=settings.tenant_daily_calls,
    )


def embedder_of(
    settings: Settings,
    database: Database,
    quotas: Quotas,
    days: TenantDays | None = None,
    watch: CallWatch | None = None,
) -> Embedder | None:
    """What gives texts their vectors; None while no embedding model is named."""
    if not settings.openai_embedding_model or not settings.names_model:
        return None
    client = EmbeddingClient(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key.get_secret_value(),
        model=settings.openai_embedding_model,
    )
    return Embedder(
        client,
        database,
        Prices(settings.model_prices),
        quotas,
        days,
        watch=watch,
        least_similarity=settings.search_least_similarity,
    )


def _gateway(settings: Settings, database: Database) -> PaymentGateway:
    """Stripe when its key is set, else the ledger.

    Raises:
        ConfigurationError: The key is set, but the extra `stripe` is not installed.
    """
    key = settings.stripe_api_key.get_secret_value()
    if not key:
        return Ledger(database)
    try:
        from durable_agents.clients.stripe_payments import StripeGateway
    except ImportError as error:
        raise ConfigurationError(
            "STRIPE_API_KEY is set, but the library for Stripe is not installed: run "
            "`pip install durable-agents[stripe]`, or unset it."
        ) from error
    return StripeGateway(api_key=key, api_base=settings.stripe_api_base)
