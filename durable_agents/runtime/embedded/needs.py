"""Which parts are configured, and which have to be started."""

from temporalio.envconfig import ClientConfigProfile

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import sdk_environment
from durable_agents.runtime.settings import Settings


def needs_temporal(settings: Settings) -> bool:
    """Whether neither TEMPORAL_ADDRESS nor a profile of the SDK's configuration names a server."""
    return not (settings.temporal_address or _profile_address(settings))


def needs_postgres(settings: Settings) -> bool:
    """Whether DATABASE_URL is not set."""
    return not settings.database_url.get_secret_value()


def needs_simulator(settings: Settings) -> bool:
    """Whether the simulator has to stand in for the model and the weather service.

    One at SIMULATOR_URL is used. SIMULATOR decides where it is set. Else it does while no model is
    configured, and never where Temporal is: nothing is simulated beside a real server unless
    somebody says so.
    """
    if settings.simulator_url:
        return False
    if settings.simulator:
        return settings.simulator == "on"
    model = settings.openai_api_key.get_secret_value() or settings.openai_base_url
    return not model and needs_temporal(settings)


def _profile_address(settings: Settings) -> str:
    """Give the address that a TEMPORAL_PROFILE or the default profile has, from its file.

    TEMPORAL_ADDRESS itself is part of the settings.

    Raises:
        ConfigurationError: The profile that is named is not there, or its file is not readable.
    """
    environment = sdk_environment(settings)
    environment.pop("TEMPORAL_ADDRESS", None)
    try:
        return ClientConfigProfile.load(override_env_vars=environment).address or ""
    except RuntimeError as error:  # what the SDK raises for a profile or file it cannot read
        raise ConfigurationError(
            f"Temporal's configuration cannot be used ({error}): "
            "correct TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE, or set TEMPORAL_ADDRESS."
        ) from error
