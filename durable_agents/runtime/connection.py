"""The connection to Temporal.

Where it goes is read by the SDK's own `temporalio.envconfig` (TEMPORAL_ADDRESS, TLS, API key,
profiles); without any of that, what `durable-agents up` wrote to `var/run.json` is used.
"""

import os
import socket

import pydantic
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models.errors import ConfigurationError, DurableAgentsError
from durable_agents.runtime.activity_interceptor import ActivityDefaults
from durable_agents.runtime.converter import DATA_CONVERTER
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.workflow_interceptor import WorkflowDefaults

START_HINT = (
    "Start the parts with `durable-agents up` in this folder, or set TEMPORAL_ADDRESS "
    "to a server that runs."
)


def plugin() -> SimplePlugin:
    """What client, worker and replayer have in common."""
    return SimplePlugin(
        "durable-agents",
        data_converter=DATA_CONVERTER,
        interceptors=[ActivityDefaults(), WorkflowDefaults()],
        workflow_failure_exception_types=[pydantic.ValidationError, DurableAgentsError],
    )


async def connect(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """Connect to the Temporal server.

    Raises:
        ConfigurationError: No server is named, none answers, or it refuses.
    """
    config = ClientConfig.load_client_connect_config()
    address = config.get("target_host") or settings.temporal_address
    if not address:
        raise ConfigurationError(f"No Temporal server is running here. {START_HINT}")
    config["target_host"] = address
    config.setdefault("namespace", settings.temporal_namespace)
    try:
        client = await Client.connect(
            **config,
            plugins=[plugin()],
            runtime=runtime,
            identity=f"{os.getpid()}@{socket.gethostname()[:12]}",
        )
        await client.service_client.check_health()
    except (RuntimeError, RPCError) as error:
        raise ConfigurationError(
            f"The Temporal server at {address} does not answer: {_words(error)} {START_HINT}"
        ) from error
    return client


def _words(error: Exception) -> str:
    """What a failed connection says, in a few words."""
    if isinstance(error, RPCError) and error.status == RPCStatusCode.UNAUTHENTICATED:
        return "it does not accept the API key or certificate (TEMPORAL_API_KEY, TEMPORAL_TLS_*)."
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = lines[0].strip() if lines else type(error).__name__
    return f"{first[:200].rstrip('.')}."


def run_url(settings: Settings, namespace: str, workflow_id: str, run_id: str = "") -> str:
    """The page of a run in the Temporal Web UI; empty when no address of the UI is known."""
    if not settings.temporal_ui_url:
        return ""
    base = f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{namespace}/workflows/{workflow_id}"
    return f"{base}/{run_id}/history" if run_id else base
