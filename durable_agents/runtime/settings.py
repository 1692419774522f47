"""One place that reads settings: the environment, then `.env`, then `var/run.json`, then defaults.

`Settings.load()` is called once in each `main`; from there settings are passed on as values.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.capacity_settings import CapacitySettings
from durable_agents.runtime.kept_secrets import secrets_of
from durable_agents.runtime.named_numbers import NamedNumbers, QuotaNumbers
from durable_agents.runtime.simulated import SIMULATED, simulated
from durable_agents.runtime.telemetry_settings import TelemetrySettings
from durable_agents.telemetry.redaction import SECRETS

SHORTEST_KEY = 32  # characters
LOWERED = (
    "simulator",
    "worker_sandbox",
    "worker_slots",
    "notify_resend_uncertain",
    "otel_instrumentation_genai_capture_message_content",
)

NO_DATABASE = (
    "No database is named. Start the parts with `durable-agents up` in this folder, "
    "or set DATABASE_URL."
)
NO_MODEL = (
    "No model is named. Set OPENAI_API_KEY or OPENAI_BASE_URL, or start the simulator "
    "with `durable-agents up`."
)


class Settings(TelemetrySettings, CapacitySettings):
    """What a process needs to know about the world around it.

    Each field is set by the environment variable that has its name in capitals. The connection
    to Temporal itself (TLS, API key, profiles) is read by `temporalio.envconfig` from the
    standard TEMPORAL_* variables; `temporal_address` and `temporal_namespace` only repeat it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    # Where things are. Empty: what `durable-agents up` wrote to var/run.json is used.
    temporal_address: str = ""
    temporal_namespace: str = "default"
    temporal_ui_url: str = ""
    database_url: SecretStr = SecretStr("")
    openai_base_url: str = ""
    openai_api_key: SecretStr = SecretStr("")
    openai_model: str = ""
    openai_embedding_model: str = ""
    search_least_similarity: float = Field(default=0.2, ge=-1, le=1, allow_inf_nan=False)
    model_prices: str = ""
    quotas: QuotaNumbers = Field(default_factory=dict[str, float])  # calls a second
    model_tokens_per_minute: NamedNumbers = Field(default_factory=dict[str, float])
    tenant_weights: NamedNumbers = Field(default_factory=dict[str, float])
    # What a tenant may spend in a day (UTC); `*` is every tenant that is not named.
    tenant_daily_tokens: NamedNumbers = Field(default_factory=dict[str, float])
    tenant_daily_usd: NamedNumbers = Field(default_factory=dict[str, float])
    tenant_daily_calls: NamedNumbers = Field(default_factory=dict[str, float])
    geocoding_url: str = "https://geocoding-api.open-meteo.com"
    forecast_url: str = "https://api.open-meteo.com"
    simulator: Literal["", "on", "off"] = ""
    simulator_url: str = ""
    fetch_allow: tuple[str, ...] = ()
    fetch_only: tuple[str, ...] = ()  # where it is set, nothing else may be fetched
    state_dir: Path = Path("var")

    # Notifications: addresses as Apprise spells them, separated by commas; they hold secrets.
    notify_urls: SecretStr = SecretStr("")
    notify_resend_uncertain: Literal["on", "off"] = "off"

    # TEMPORAL_* variables of `.env`: the SDK's own configuration reads the environment alone.
    temporal_dotenv: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])

    # Payments: Stripe when its key is set, else a ledger in the database.
    stripe_api_key: SecretStr = SecretStr("")
    stripe_api_base: str = "https://api.stripe.com"

    # What signs sessions and decisions: the same for all processes, known to nobody else.
    signing_key: SecretStr = SecretStr("")

    # What encrypts histories: ID:KEY,OLDER:KEY, the first encrypts and all decrypt; empty: nothing.
    payload_keys: SecretStr = SecretStr("")

    # Where payloads lie that are larger than the threshold, in bytes. The server's limit is 2 MB.
    payload_store: Literal["postgresql", "s3"] = "postgresql"
    payload_store_threshold: int = Field(default=128 * 1024, ge=1024, le=1024 * 1024)
    payload_store_bucket: str = ""
    payload_store_endpoint: str = ""

    # The reviewers' page. `inbox_url` is where people reach it, for links; proxies are the
    # addresses whose word is taken for where a request comes from.
    inbox_host: str = "127.0.0.1"
    inbox_port: int = Field(default=8232, ge=0, le=65535)
    inbox_url: str = ""
    inbox_proxies: tuple[str, ...] = ()

    # Ports of the parts that `up` starts; 0 takes any that is free.
    temporal_port: int = Field(default=7233, ge=0, le=65535)
    temporal_ui_port: int = Field(default=8233, ge=0, le=65535)
    simulator_port: int = Field(default=8230, ge=0, le=65535)
    health_host: str = "127.0.0.1"
    health_url: str = ""
    health_port: int = Field(default=8231, ge=0, le=65535)
    sqlite_synchronous: Literal["FULL", "NORMAL"] = "FULL"

    # Workers. Those with a build id get work only while it is current: `durable-agents versions`.
    worker_deployment_name: str = Field(default="durable-agents", pattern=r"^[A-Za-z0-9][\w-]*$")
    worker_build_id: str = Field(default="", pattern=r"^([A-Za-z0-9][\w.-]{0,99})?$")
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    worker_sandbox: Literal["on", "off"] = "on"
    worker_shutdown_grace_s: float = Field(default=10, gt=0, le=86_400)
    startup_wait_s: float = Field(default=0, ge=0)  # for parts that are not there yet
    worker_sticky_timeout_s: float = Field(default=2, gt=0, le=3600)

    @field_validator("signing_key")
    @classmethod
    def _long_enough(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < SHORTEST_KEY:
            raise PydanticCustomError(
                "short_key",
                "it needs at least {least} characters, all of them random",
                {"least": SHORTEST_KEY},
            )
        return key

    @property
    def run_file(self) -> Path:
        """Where `up` writes what it started."""
        return self.state_dir / "run.json"

    @property
    def inbox_address(self) -> str:
        """Where people reach the reviewers' page, without a slash at its end."""
        return self.inbox_url.rstrip("/") or f"http://{self.inbox_host}:{self.inbox_port}"

    @property
    def names_model(self) -> bool:
        """Whether anything says which model to use."""
        return bool(self.openai_api_key.get_secret_value() or self.openai_base_url)

    @property
    def uses_simulator(self) -> bool:
        """Whether the simulator stands in for the model and the weather service.

        It does while no model is configured, unless SIMULATOR says otherwise; where
        TEMPORAL_ADDRESS is set, nothing is simulated unless SIMULATOR says `on`, or SIMULATOR_URL
        says where it is.
        """
        if self.simulator:
            return self.simulator == "on"
        return bool(self.simulator_url)

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        dotenv: Path | None = Path(".env"),
        use_run_file: bool = True,
    ) -> "Settings":
        """Read the settings of this process, and have their secrets kept out of what it writes.

        Args:
            environ: The environment; `os.environ` when left out.
            dotenv: A file of further variables; a variable of the environment wins.
            use_run_file: Whether what `up` wrote fills what is not set.

        Raises:
            ConfigurationError: A variable's value does not fit; names the variable.
        """
        filed = _set_in(_read_dotenv(dotenv)) if dotenv is not None else {}
        values = {**filed, **_set_in(os.environ if environ is None else environ)}
        names = cls.model_fields.keys() - {"temporal_dotenv"}
        given: dict[str, Any] = {n: values[n.upper()] for n in names if n.upper() in values}
        given["temporal_dotenv"] = {n: v for n, v in filed.items() if n.startswith("TEMPORAL_")}
        for name in ("fetch_allow", "fetch_only", "inbox_proxies"):
            if name in given:
                parts = (part.strip() for part in str(given[name]).split(","))
                given[name] = tuple(part for part in parts if part)
        for name in LOWERED:
            if name in given:
                given[name] = given[name].lower()
        if "log_level" in given:
            given["log_level"] = given["log_level"].upper()
        given = simulated(given, values.get("SIMULATOR_PROFILES", ""))
        settings = cls._validated(given)
        if use_run_file:
            settings = cls._validated(_filled_from_run_file(given, settings))
        SECRETS.keep(secrets_of(settings, values))
        return settings

    @classmethod
    def _validated(cls, given: Mapping[str, Any]) -> "Settings":
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]).upper()
            raise ConfigurationError(
                f"{name} is not usable: {first['msg']}. Correct it in the environment or in .env."
            ) from error


def _set_in(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The variables that are set; an empty one is as good as none."""
    return {name: value for name, value in variables.items() if value}


def _read_dotenv(path: Path) -> dict[str, str | None]:
    try:
        return dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): make it a file of lines NAME=VALUE, in UTF-8."
        ) from error


_BESIDE_TEMPORAL = frozenset({"database_url", "signing_key", "inbox_url"})
"""What is used of a run file although TEMPORAL_ADDRESS names another server."""


def _filled_from_run_file(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Add what `up` started, for whatever the variables leave open."""
    try:
        run: Any = json.loads(settings.run_file.read_text(encoding="utf-8"))
        known: dict[str, Any] = {n: v for n, v in run.items() if n in Settings.model_fields}
    except (FileNotFoundError, NotADirectoryError):
        return dict(given)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{settings.run_file} cannot be read ({error}). "
            "Delete it and run `durable-agents up` again."
        ) from error
    known.pop("state_dir", None)
    given = dict(given)
    allowed = (*given.pop("fetch_allow", ()), *known.pop("fetch_allow", ()))
    if given.get("simulator") == "on" and "simulator_url" not in given:
        for name in SIMULATED & known.keys():
            given.pop(name, None)  # the simulator stands in although a model is configured
    elif given.get("simulator") == "off" or given.keys() & {"openai_api_key", "openai_base_url"}:
        known = {name: value for name, value in known.items() if name not in SIMULATED}
    elif "temporal_address" in given:
        known = {name: value for name, value in known.items() if name in _BESIDE_TEMPORAL}
    return {**known, **given, "fetch_allow": tuple(dict.fromkeys(allowed))}
