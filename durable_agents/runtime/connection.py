"""The connection to Temporal.

Where it goes is read by the SDK's own `temporalio.envconfig` (TEMPORAL_ADDRESS, TLS, API key,
profiles) from the environment and `.env`; without any of that, what `durable-agents up` wrote
to `var/run.json` is used.
"""

import asyncio
import functools
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pydantic
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, HeaderCodecBehavior
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import KeepAliveConfig, RPCError, RPCStatusCode, TLSConfig

from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime.activity_interceptor import ActivityDefaults
from durable_agents.runtime.converter import DATA_CONVERTER, data_converter
from durable_agents.runtime.encryption import read_keys
from durable_agents.runtime.payload_storage import payloads_of, saved_storage, storage_of
from durable_agents.runtime.reaching import tls_of, why_not_reached
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.unversioned import MaybeVersioned
from durable_agents.runtime.workflow_interceptor import WorkflowDefaults
from durable_agents.telemetry.spans import SPANS

if TYPE_CHECKING:
    from durable_agents.db.engine import Database

CONNECT_TIMEOUT_S = 10
# A connection that has gone silent is noticed after 20 s and not after 45. A server takes a ping
# more often than every 10 s (`frontend.keepAliveMinTime`) for an attack.
KEEP_ALIVE = KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000)
CLOUD_DOMAINS = (".tmprl.cloud", ".api.temporal.io")

# What a server says that starts, ends or has too much to do.
PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)

START_HINT = (
    "Start the parts with `durable-agents up` in this folder, or set TEMPORAL_ADDRESS "
    "to a server that runs."
)


def plugin(converter: DataConverter = DATA_CONVERTER) -> SimplePlugin:
    """What client, worker and replayer have in common.

    Args:
        converter: That of a process with keys or a store (`converter_of`), or of a saved history
            that carries payloads (`replay_converter`).
    """
    return MaybeVersioned(
        "durable-agents",
        data_converter=converter,
        interceptors=[ActivityDefaults(), WorkflowDefaults()],
        workflow_failure_exception_types=[pydantic.ValidationError, DurableAgentsError],
    )


def _tracing() -> list[SimplePlugin]:
    """What carries traces along, where this process has begun any."""
    if not SPANS.on:
        return []
    from durable_agents.runtime.trace_interceptors import tracing_plugin

    return [tracing_plugin()]


def converter_of(settings: Settings, *, database: "Database | None" = None) -> DataConverter:
    """The converter of a process: with its keys and its payload store.

    Args:
        settings: What is configured.
        database: The open database, where a process has one; else one is opened for each use.

    Raises:
        ConfigurationError: PAYLOAD_KEYS or PAYLOAD_STORE is not usable.
    """
    keys = read_keys(settings.payload_keys.get_secret_value())
    return data_converter(keys, storage_of(settings, database))


def replay_converter(settings: Settings, history: str) -> DataConverter:
    """The converter that reads a saved history: with the keys, and the payloads that it carries.

    Raises:
        ConfigurationError: PAYLOAD_KEYS is not usable.
    """
    keys = read_keys(settings.payload_keys.get_secret_value())
    return data_converter(keys, saved_storage(payloads_of(history)))


async def connect(
    settings: Settings, *, runtime: Runtime | None = None, database: "Database | None" = None
) -> Client:
    """Connect to the Temporal server, and see that it has the namespace.

    Args:
        settings: Where it is.
        runtime: The SDK's core, where a process has one of its own.
        database: The open database, where a process has one: for the payload store.

    Raises:
        ConfigurationError: No server is named, none answers, or it refuses.
    """
    config = _client_config(settings)
    address = config.get("target_host") or settings.temporal_address
    if not address:
        raise ConfigurationError(f"No Temporal server is running here. {START_HINT}")
    namespace = config.get("namespace") or settings.temporal_namespace
    config["target_host"], config["namespace"] = address, namespace
    settings = settings.model_copy(update={"temporal_namespace": namespace})
    converter = converter_of(settings, database=database)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            client = await Client.connect(
                **config,
                plugins=[*_tracing(), plugin(converter)],
                header_codec_behavior=HeaderCodecBehavior.CODEC,
                runtime=runtime or quiet_runtime(),
                identity=f"{os.getpid()}@{socket.gethostname()[:12]}",
                keep_alive_config=KEEP_ALIVE,
            )
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), retry=True
            )
    except RPCError as error:
        said = _refusal(error, address, namespace)
        raise ConfigurationError(said, may_pass=error.status in PASSING) from error
    except (RuntimeError, ValueError, TimeoutError) as error:  # what the SDK raises
        reason = await why_not_reached(address, tls_of(config))
        raise ConfigurationError(
            f"The Temporal server at {address} does not answer: {reason.what}. "
            f"{reason.to_do or START_HINT}",
            may_pass=reason.may_pass,
        ) from error
    return client


def namespace_of(settings: Settings) -> str:
    """The namespace that a connection would be to.

    Raises:
        ConfigurationError: The SDK's own configuration cannot be used.
    """
    return _client_config(settings).get("namespace") or settings.temporal_namespace


def way_to(client: Client) -> str:
    """How a client reached its server, and as whom: for people."""
    config = client.service_client.config
    tls = config.tls if config.tls is not None else bool(config.api_key)
    shown = ["with an API key"] if config.api_key else []
    if isinstance(tls, TLSConfig) and tls.client_cert:
        shown.append("with a client certificate")
    way = "over TLS" if tls else "without TLS"
    return f"{way}, {' and '.join(shown) or 'without credentials'}, as {client.identity}"


def is_cloud(address: str) -> bool:
    """Whether an address is one of Temporal Cloud, where other commands manage a namespace."""
    host = address.rpartition(":")[0].lower()
    return host.endswith(CLOUD_DOMAINS)


def _creation(address: str, namespace: str) -> str:
    """The command that makes a namespace."""
    if is_cloud(address):
        return f"`tcld namespace create --namespace {namespace} --region REGION`"
    return f"`temporal operator namespace create --address {address} --namespace {namespace}`"


@functools.cache
def quiet_runtime() -> Runtime:
    """The SDK's core without its log, which would go to standard output: that is for results."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


def _client_config(settings: Settings) -> ClientConnectConfig:
    """Where to connect, and how, as far as the SDK's own configuration says so.

    Raises:
        ConfigurationError: It cannot be used.
    """
    try:
        return ClientConfig.load_client_connect_config(override_env_vars=sdk_environment(settings))
    except (RuntimeError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"Temporal's configuration cannot be used ({error}): "
            "correct the TEMPORAL_* variables and the file of profiles."
        ) from error


def sdk_environment(settings: Settings) -> dict[str, str]:
    """The variables for the SDK's own configuration: those of `.env`, then the environment."""
    filed = {name: value.get_secret_value() for name, value in settings.temporal_dotenv.items()}
    return {**filed, **{name: value for name, value in os.environ.items() if value}}


def _refusal(error: RPCError, address: str, namespace: str) -> str:
    """What a server says that cannot be used."""
    if error.status == RPCStatusCode.UNAUTHENTICATED:
        return (
            f"The Temporal server at {address} does not accept the API key or certificate: "
            "correct TEMPORAL_API_KEY or TEMPORAL_TLS_*."
        )
    if error.status == RPCStatusCode.NOT_FOUND:
        return (
            f"The Temporal server at {address} has no namespace {namespace}: "
            f"correct TEMPORAL_NAMESPACE, or create it: {_creation(address, namespace)}."
        )
    if error.status == RPCStatusCode.PERMISSION_DENIED:
        return (
            f"The Temporal server at {address} does not let us into the namespace {namespace} "
            f"({error.message.rstrip('.')}): correct TEMPORAL_NAMESPACE, or give the API key or "
            "certificate leave to use it."
        )
    return f"The Temporal server at {address} refuses: {error.message.rstrip('.')}. {START_HINT}"


def run_url(settings: Settings, namespace: str, workflow_id: str, run_id: str = "") -> str:
    """The page of a run in the Temporal Web UI; empty when no address of the UI is known."""
    if not settings.temporal_ui_url:
        return ""
    place = f"namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}"
    base = f"{settings.temporal_ui_url.rstrip('/')}/{place}"
    return f"{base}/{run_id}/history" if run_id else base
