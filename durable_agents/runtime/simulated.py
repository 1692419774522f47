"""What settings become while the simulator stands in for the model and the weather service."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from durable_agents.models.errors import ConfigurationError

SIMULATOR_MODEL = "simulator-extractive-1"
SIMULATOR_EMBEDDING_MODEL = "simulator-embedding-1"

PROFILE = "simulator"
OF_THE_PROFILE = "http://simulator:8230"
"""Where the simulator of `docker compose` is, as its containers see it."""


def simulator_values(url: str) -> dict[str, Any]:
    """Give the settings, by field name, with which the simulator at this URL is used."""
    return {
        "simulator_url": url,
        "openai_base_url": f"{url}/v1",
        "openai_api_key": "simulator",
        "openai_model": SIMULATOR_MODEL,
        "openai_embedding_model": SIMULATOR_EMBEDDING_MODEL,
        "geocoding_url": url,
        "forecast_url": url,
        "fetch_allow": [urlsplit(url).netloc],
    }


SIMULATED = simulator_values("").keys() - {"fetch_allow"}
"""What the simulator stands in for."""


def simulated(given: Mapping[str, Any], profiles: str = "") -> dict[str, Any]:
    """Let the simulator stand in for the model, and for weather if none is set, where one is named.

    Args:
        given: The settings so far, by field name.
        profiles: The profiles of `docker compose` that are on, separated by commas: where no
            simulator is named, that of its profile is used.

    Raises:
        ConfigurationError: SIMULATOR_URL is no address.
    """
    named = OF_THE_PROFILE if PROFILE in profiles.replace(" ", "").split(",") else ""
    url = str(given.get("simulator_url") or named).rstrip("/")
    if not url or given.get("simulator") == "off":
        return dict(given)
    if not re.fullmatch(r"https?://[^\s/?#@]+", url):
        raise ConfigurationError(
            "SIMULATOR_URL is not usable: it is no address such as http://127.0.0.1:8230. "
            "Correct it in the environment or in .env."
        )
    values = simulator_values(url)
    allowed = (*given.get("fetch_allow", ()), *values["fetch_allow"])
    weather = {name: given[name] for name in ("geocoding_url", "forecast_url") if name in given}
    return {**given, **values, **weather, "fetch_allow": tuple(dict.fromkeys(allowed))}
