"""One worker process: the workers of its roles on one event loop, until it is told to stop.

It is started by the supervisor (`python -m workers`), says `ready` on standard output once it
polls, or why it cannot start, drains on SIGTERM, and ends at once when the supervisor is gone,
which it notices by the end of its standard input.
"""

import argparse
import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agents.db import migrate
from durable_agents.models.errors import DurableAgentsError
from durable_agents.runtime import logs
from durable_agents.runtime.connection import connect
from durable_agents.runtime.encryption import read_keys
from durable_agents.runtime.ending import end_process
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.startup import exit_code_of, once_there
from workers.capacity import capacity_of
from workers.gauges import show_gauges_for_ever
from workers.key_check import check_keys, until_keys_lack
from workers.outbox import resend_at_start
from workers.payload_collector import collect_for_ever
from workers.pool_reconciler import reconcile_pools_for_ever
from workers.reconciler import reconcile_for_ever
from workers.registry import RoleSpec, specs_of
from workers.resources import Resources
from workers.roles import ALIVE, EXIT_CONFIGURATION, READY, REFUSED, ROLES, WAITING, Role
from workers.telemetry import Telemetry
from workers.versioning import deployment_of, warn_until_served

HEARTBEAT_EVERY = timedelta(seconds=2)  # the SDK would hold heartbeats back for four seconds
ALIVE_EVERY_S = 5


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
    capacity = capacity_of(settings)
    return Worker(
        client,
        task_queue=spec.queue,
        workflows=spec.workflows,
        activities=spec.activities,
        workflow_runner=runner,
        max_cached_workflows=settings.worker_cached_workflows if spec.workflows else 0,
        tuner=capacity.tuner,
        workflow_task_poller_behavior=capacity.pollers,
        activity_task_poller_behavior=capacity.pollers,
        workflow_task_executor=capacity.threads,
        max_task_queue_activities_per_second=spec.per_second,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.worker_sticky_timeout_s),
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker_shutdown_grace_s),
        deployment_config=deployment_of(settings),
    )


async def run(
    settings: Settings, roles: Sequence[Role], *, metrics_port: int = 0, number: int = 0
) -> None:
    """Run the workers of some roles until SIGTERM or SIGINT; then drain.

    Args:
        settings: The settings of this process.
        roles: What it runs.
        metrics_port: Where it shows its metrics on loopback; 0 shows none.
        number: Which of the supervisor's processes it is.

    Raises:
        ConfigurationError: A part that is needed is missing or does not answer.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, stop.set)
    telemetry = Telemetry.begin(settings, roles, metrics_port)
    resources = Resources.open(settings, meter=telemetry.meter)
    telemetry.count_lost(resources.metrics.lost)
    try:
        attempt = partial(_connect, settings, resources, telemetry.runtime)
        connected = once_there(attempt, settings.startup_wait_s, partial(_tell, WAITING))
        client = await _unless_told(stop, connected)
        if client is None:
            return
        workers = build_workers(client, settings, resources, roles)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(worker.run()) for worker in workers]
            background = _background(group, client, resources, roles)
            keys = _keys_of(settings)
            lacking = group.create_task(until_keys_lack(resources.database, client.namespace, keys))
            if number == 0 and "workflows" in roles:  # one of all that would say the same
                gauges = show_gauges_for_ever(client, resources.database, telemetry.meter)
                background.append(group.create_task(gauges))
            print(READY, flush=True)  # noqa: T201 - what the supervisor waits for
            await _first(stop, [*running, lacking])
            for task in (*background, lacking):
                task.cancel()
            await asyncio.gather(*(worker.shutdown() for worker in workers))
        if not lacking.cancelled():
            raise lacking.result()
    finally:
        await resources.close()
        telemetry.end()


async def _connect(settings: Settings, resources: Resources, runtime: Runtime) -> Client:
    """Reach both servers, and see that this process fits what is there."""
    await migrate.check(resources.database)
    client = await connect(settings, runtime=runtime, database=resources.database)
    await check_keys(resources.database, client.namespace, _keys_of(settings))
    return client


def _keys_of(settings: Settings) -> Mapping[str, bytes]:
    return read_keys(settings.payload_keys.get_secret_value())


async def _unless_told(
    stop: asyncio.Event, connected: Coroutine[None, None, Client]
) -> Client | None:
    """The connection; None when the process is told to stop before there is one."""
    connecting = asyncio.ensure_future(connected)
    await _first(stop, [connecting])
    if connecting.done():
        return connecting.result()
    connecting.cancel()
    await asyncio.wait([connecting])
    return None


def _background(
    group: asyncio.TaskGroup, client: Client, resources: Resources, roles: Sequence[Role]
) -> list[asyncio.Task[None]]:
    """What a process does beside its workers."""
    started = [group.create_task(give_signs_of_life())]
    started.append(group.create_task(warn_until_served(client, resources.settings)))
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


async def give_signs_of_life(*, every_s: float = ALIVE_EVERY_S) -> None:
    """Tell the supervisor for as long as this loop turns that it does; never before it is ready."""
    while True:
        await asyncio.sleep(every_s)
        _tell(ALIVE, "")


async def _first(stop: asyncio.Event, running: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until the process is told to stop, or one of these ends of itself."""
    told = asyncio.ensure_future(stop.wait())
    await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()


def _end_with_supervisor(loop: asyncio.AbstractEventLoop) -> None:
    """End at once when standard input ends: the supervisor is gone."""

    def gone() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            os._exit(1)

    loop.add_reader(sys.stdin.fileno(), gone)


async def _main(settings: Settings, roles: Sequence[Role], metrics_port: int, number: int) -> None:
    _end_with_supervisor(asyncio.get_running_loop())
    await run(settings, roles, metrics_port=metrics_port, number=number)


def _tell(what: str, reason: str) -> None:
    """Tell the supervisor, which tells people."""
    print(f"{what}{' '.join(reason.split())}", flush=True)  # noqa: T201


def main() -> None:
    """Run one worker process; the exit code is 2 when it cannot start as configured.

    It is 75 when it waited in vain for a part that is not there.
    """
    parser = argparse.ArgumentParser(prog="python -m workers.process")
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--metrics-port", type=int, default=0)
    parser.add_argument("--number", type=int, default=0)
    given = parser.parse_args()
    roles: list[Role] = [role for role in ROLES if role in str(given.roles).split(",")]
    wait_s = 0.0
    try:
        settings = Settings.load()
        wait_s = settings.startup_wait_s
        logs.configure(level=settings.log_level, form=settings.log_format)
        asyncio.run(_main(settings, roles, int(given.metrics_port), int(given.number)))
    except DurableAgentsError as error:
        _tell(REFUSED, error.message)
        end_process(exit_code_of(error, wait_s, EXIT_CONFIGURATION))
    end_process(0)


if __name__ == "__main__":
    main()
