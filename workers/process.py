"""One worker process: the workers of its roles on one event loop, until it is told to stop.

It is started by the supervisor (`python -m workers`), says `ready` on standard output once it
polls, or why it cannot start, drains on SIGTERM, and ends at once when the supervisor is gone,
which it notices by the end of its standard input.
"""

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agents.db import migrate
from durable_agents.models.errors import DurableAgentsError
from durable_agents.runtime import logs
from durable_agents.runtime.connection import connect
from durable_agents.runtime.encryption import read_keys
from durable_agents.runtime.ending import end_process
from durable_agents.runtime.settings import Settings
from workers.key_check import check_keys, until_keys_lack
from workers.outbox import resend_at_start
from workers.payload_collector import collect_for_ever
from workers.pool_reconciler import reconcile_pools_for_ever
from workers.reconciler import reconcile_for_ever
from workers.registry import RoleSpec, specs_of
from workers.resources import Resources
from workers.roles import EXIT_CONFIGURATION, READY, REFUSED, ROLES, Role
from workers.versioning import deployment_of, warn_until_served

HEARTBEAT_EVERY = timedelta(seconds=2)  # the SDK would hold heartbeats back for four seconds


def build_workers(
    client: Client, settings: Settings, resources: Resources, roles: Sequence[Role]
) -> list[Worker]:
    """One worker for each role; for model calls one for each quota."""
    resources = dataclasses.replace(resources, client=client)
    specs = (spec for role in roles for spec in specs_of(role, resources))
    return [_build(client, settings, spec) for spec in specs]


def _build(client: Client, settings: Settings, spec: RoleSpec) -> Worker:
    runner: WorkflowRunner = (
        SandboxedWorkflowRunner()
        if settings.worker_sandbox == "on"
        else UnsandboxedWorkflowRunner()
    )
    return Worker(
        client,
        task_queue=spec.queue,
        workflows=spec.workflows,
        activities=spec.activities,
        workflow_runner=runner,
        max_cached_workflows=settings.worker_cached_workflows if spec.workflows else 0,
        max_concurrent_workflow_tasks=settings.worker_workflow_slots,
        max_concurrent_activities=settings.worker_activity_slots,
        max_task_queue_activities_per_second=spec.per_second,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.worker_sticky_timeout_s),
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_shutdown_grace_s),
        deployment_config=deployment_of(settings),
    )


async def run(settings: Settings, roles: Sequence[Role], *, metrics_port: int = 0) -> None:
    """Run the workers of some roles until SIGTERM or SIGINT; then drain.

    Args:
        settings: The settings of this process.
        roles: What it runs.
        metrics_port: Where the SDK shows its metrics on loopback; 0 shows none.

    Raises:
        ConfigurationError: A part that is needed is missing or does not answer.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    resources = Resources.open(settings)
    try:
        await migrate.check(resources.database)
        client = await connect(
            settings, runtime=_runtime(metrics_port), database=resources.database
        )
        keys = read_keys(settings.payload_keys.get_secret_value())
        await check_keys(resources.database, client.namespace, keys)
        workers = build_workers(client, settings, resources, roles)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(worker.run()) for worker in workers]
            background = _background(group, client, resources, roles)
            lacking = group.create_task(until_keys_lack(resources.database, client.namespace, keys))
            print(READY, flush=True)  # noqa: T201 - what the supervisor waits for
            await _first(stop, [*running, lacking])
            for task in (*background, lacking):
                task.cancel()
            await asyncio.gather(*(worker.shutdown() for worker in workers))
        if not lacking.cancelled():
            raise lacking.result()
    finally:
        await resources.close()


def _background(
    group: asyncio.TaskGroup, client: Client, resources: Resources, roles: Sequence[Role]
) -> list[asyncio.Task[None]]:
    """What a process does beside its workers."""
    started = [group.create_task(warn_until_served(client, resources.settings))]
    if "workflows" in roles:
        started.append(group.create_task(reconcile_for_ever(client, resources.database)))
        started.append(group.create_task(collect_for_ever(client, resources.database)))
    if "pool" in roles:
        pools = reconcile_pools_for_ever(client, resources.database)
        started.append(group.create_task(pools))
    if "tools" in roles and resources.settings.notify_resend_uncertain == "on":
        again = resend_at_start(resources.database, resources.notifier)
        started.append(group.create_task(again))
    return started


async def _first(stop: asyncio.Event, running: Sequence[asyncio.Task[Any]]) -> None:
    """Wait until the process is told to stop, or a worker ends of itself."""
    told = asyncio.ensure_future(stop.wait())
    await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()


def _runtime(metrics_port: int) -> Runtime:
    """The SDK's core, with its metrics on loopback and its log in ours."""
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{metrics_port}", durations_as_seconds=True)
    logging_config = LoggingConfig(
        TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio.core")),
    )
    return Runtime(
        telemetry=TelemetryConfig(metrics=metrics if metrics_port else None, logging=logging_config)
    )


def _end_with_supervisor(loop: asyncio.AbstractEventLoop) -> None:
    """End at once when standard input ends: the supervisor is gone."""

    def gone() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            os._exit(1)

    loop.add_reader(sys.stdin.fileno(), gone)


async def _main(settings: Settings, roles: Sequence[Role], metrics_port: int) -> None:
    _end_with_supervisor(asyncio.get_running_loop())
    await run(settings, roles, metrics_port=metrics_port)


def main() -> None:
    """Run one worker process; the exit code is 2 when it cannot start as configured."""
    parser = argparse.ArgumentParser(prog="python -m workers.process")
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--metrics-port", type=int, default=0)
    given = parser.parse_args()
    roles: list[Role] = [role for role in ROLES if role in str(given.roles).split(",")]
    try:
        settings = Settings.load()
        logs.configure(level=settings.log_level, form=settings.log_format)
        asyncio.run(_main(settings, roles, int(given.metrics_port)))
    except DurableAgentsError as error:
        reason = " ".join(error.message.split())
        print(f"{REFUSED}{reason}", flush=True)  # noqa: T201 - the supervisor tells people
        end_process(EXIT_CONFIGURATION)
    end_process(0)


if __name__ == "__main__":
    main()
