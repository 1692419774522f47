"""What the activities of one process share: connections and clients."""

from dataclasses import dataclass

import httpx2

from durable_agents.agent.asking import Asker
from durable_agents.agent.prices import Prices
from durable_agents.agent.tool import ToolContext
from durable_agents.clients.model import ModelClient
from durable_agents.clients.notifications import Notifier
from durable_agents.clients.payments import PaymentGateway
from durable_agents.db.engine import Database
from durable_agents.db.ledger import Ledger
from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import NO_DATABASE, NO_MODEL, Settings

HTTP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Resources:
    """Connections and clients of one process; opened once, closed at the end."""

    settings: Settings
    database: Database
    http: httpx2.AsyncClient
    model: ModelClient
    asker: Asker
    notifier: Notifier
    payments: PaymentGateway

    @classmethod
    def open(cls, settings: Settings) -> "Resources":
        """Make what activities need; nothing is connected before it is used.

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
        asker = Asker(model, database, Prices(settings.model_prices))
        notifier = Notifier(settings.notify_urls.get_secret_value())
        payments = _gateway(settings, database)
        return cls(settings, database, http, model, asker, notifier, payments)

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
        )

    async def close(self) -> None:
        """Close what was opened."""
        await self.model.close()
        await self.payments.close()
        await self.http.aclose()
        await self.database.close()


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
