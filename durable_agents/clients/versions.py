"""Versions of the workers, as the Temporal server keeps them.

All workers that share a deployment name are one deployment; each build id of theirs is a version.
New runs go to the version that is current, or in part to one that is being ramped up. A run that
is pinned stays with the version it began on, others follow the current one with their next
workflow task. A worker without a build id belongs to no version: it gets work while none is
current.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.models import queues
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError

Stage = Literal["current", "ramping", "draining", "drained", "inactive"]
_STAGES: Final[dict[int, Stage]] = {2: "current", 3: "ramping", 4: "draining", 5: "drained"}

POLLER_SEEN_WITHIN = timedelta(seconds=75)  # a poll lasts up to a minute
LOOK_EVERY_S = 0.1

_NOT_YET = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION})

Told = TypeVar("Told")


class Version(Record):
    """One version: its build id, where it stands, and the runs that it has to finish itself."""

    build_id: str
    stage: Stage
    created_at: datetime
    pinned: int = 0


class Deployment(Record):
    """The versions of the workers, the newest first; `current` is empty while none is."""

    current: str = ""
    ramping: str = ""
    percentage: float = 0
    versions: tuple[Version, ...] = ()


class Queue(Record):
    """Who works on a task queue.

    Attributes:
        name: The queue's.
        current: The version whose workers get what comes, as `NAME.BUILD`; empty means those
            without a version.
        ramping: The version that gets a part of it; empty when there is none.
        polled: The versions whose workers ask for work; empty stands for those without one.
    """

    name: str
    current: str = ""
    ramping: str = ""
    polled: frozenset[str] = frozenset()

    def is_served(self, pinned: str | None = None) -> bool:
        """Whether what comes finds a worker; what comes of a pinned run needs its version's."""
        return (self.current if pinned is None else pinned) in self.polled

    def why_not(self, pinned: str | None = None) -> str:
        """Say who is missing."""
        if not self.polled:
            return f"nobody works on {self.name}"
        versions = " and ".join(sorted(one or "no version" for one in self.polled))
        there = f"on {self.name} are workers of {versions}"
        if pinned is not None:
            return f"{there}, but the run is pinned to {pinned}"
        wanted = f"{self.current} is current" if self.current else "no version is current"
        return (
            f"{there}, but {wanted}: see `durable-agents versions list`, then "
            "`durable-agents versions set-current`"
        )


async def find_deployment(client: Client, name: str) -> Deployment | None:
    """The versions of a deployment; None when no worker with a version has ever polled.

    Raises:
        RPCError: The server does not answer.
    """
    try:
        told = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name),
            retry=True,
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    found = told.worker_deployment_info
    versions = [
        Version(
            build_id=one.deployment_version.build_id,
            stage=_STAGES.get(one.status, "inactive"),
            created_at=one.create_time.ToDatetime(tzinfo=UTC),
            pinned=await count_pinned(client, name, one.deployment_version.build_id),
        )
        for one in found.version_summaries
    ]
    return Deployment(
        current=found.routing_config.current_deployment_version.build_id,
        ramping=found.routing_config.ramping_deployment_version.build_id,
        percentage=found.routing_config.ramping_version_percentage,
        versions=tuple(sorted(versions, key=lambda one: one.created_at, reverse=True)),
    )


async def count_pinned(client: Client, name: str, build_id: str) -> int:
    """How many open runs are pinned to a version; the server's lists lag behind a little."""
    counted = await client.count_workflows(
        "ExecutionStatus = 'Running' AND TemporalWorkflowVersioningBehavior = 'Pinned' "
        f"AND TemporalWorkerDeploymentVersion = '{name}:{build_id}'"
    )
    return counted.count


async def set_current(client: Client, name: str, build_id: str, *, within_s: float = 30) -> None:
    """Let new runs, and those that follow, go to a version; empty: to workers without one.

    Args:
        client: Whom to ask.
        name: The deployment's.
        build_id: The version's.
        within_s: How long to wait for its first worker.

    Raises:
        NotFoundError: No worker of this version asks for work: those of one that was current
            before may have been stopped since.
        RPCError: The server refuses, for instance because it has no worker on a queue that the
            current version works on.
    """
    await _until_polled(client, _named(name, build_id), within_s)
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=name,
        build_id=build_id,
        identity=client.identity,
    )
    await _until_known(
        lambda: client.workflow_service.set_worker_deployment_current_version(request, retry=True),
        f"{name}.{build_id}",
        within_s,
    )
    await _until_routed(client, _named(name, build_id), within_s)


async def set_ramping(
    client: Client, name: str, build_id: str, percentage: float, *, within_s: float = 30
) -> None:
    """Let a part of the new runs, and of those that follow, go to a version; empty: to none.

    Raises:
        NotFoundError: No worker of this version asks for work.
        RPCError: The server refuses.
    """
    await _until_polled(client, _named(name, build_id), within_s)
    request = SetWorkerDeploymentRampingVersionRequest(
        namespace=client.namespace,
        deployment_name=name,
        build_id=build_id,
        percentage=percentage,
        identity=client.identity,
    )
    await _until_known(
        lambda: client.workflow_service.set_worker_deployment_ramping_version(request, retry=True),
        f"{name}.{build_id}",
        within_s,
    )


async def look_at_queue(client: Client, name: str) -> Queue:
    """Who works on a task queue, and whose turn it is there.

    Raises:
        RPCError: The server does not answer.
    """
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    if name != queues.WORKFLOWS:
        kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    told = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        ),
        retry=True,
    )
    since = datetime.now(UTC) - POLLER_SEEN_WITHIN
    lately = [p for p in told.pollers if p.last_access_time.ToDatetime(tzinfo=UTC) > since]
    current = told.versioning_info.current_deployment_version
    ramping = told.versioning_info.ramping_deployment_version
    return Queue(
        name=name,
        current=_named(current.deployment_name, current.build_id),
        ramping=_named(ramping.deployment_name, ramping.build_id),
        polled=frozenset(_version_of(poller) for poller in lately),
    )


def _version_of(poller: PollerInfo) -> str:
    options = poller.deployment_options
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return ""
    return _named(options.deployment_name, options.build_id)


def _named(name: str, build_id: str) -> str:
    return f"{name}.{build_id}" if build_id else ""


async def _until_known(ask: Callable[[], Awaitable[Told]], version: str, within_s: float) -> Told:
    """Ask until the server knows the version, and all its queues: it learns when workers poll."""
    refused: RPCError | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    return await ask()
                except RPCError as error:
                    if error.status not in _NOT_YET:
                        raise
                    refused = error
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as error:
        if refused is not None and refused.status == RPCStatusCode.FAILED_PRECONDITION:
            raise refused from error
        raise _nobody_of(version, within_s) from error


async def _until_polled(client: Client, version: str, within_s: float) -> None:
    """Wait for a worker of a version; an empty one needs none.

    The server would let a version have all the work whose workers are gone.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    while version and version not in (await look_at_queue(client, queues.WORKFLOWS)).polled:
        if asyncio.get_running_loop().time() > deadline:
            raise _nobody_of(version, within_s)
        await asyncio.sleep(LOOK_EVERY_S)


def _nobody_of(version: str, within_s: float) -> NotFoundError:
    return NotFoundError(
        f"No worker of version {version} has asked for work within {within_s:g} s: start one "
        "with WORKER_BUILD_ID set to it, then try again."
    )


async def _until_routed(client: Client, version: str, within_s: float) -> None:
    """Wait until the task queues on which the version works know: each is told a moment later."""
    deadline = asyncio.get_running_loop().time() + within_s
    for name in (queues.WORKFLOWS, queues.LLM, queues.TOOLS, queues.POOL):
        while asyncio.get_running_loop().time() < deadline:
            queue = await look_at_queue(client, name)
            if queue.current == version or (version and version not in queue.polled):
                break
            await asyncio.sleep(LOOK_EVERY_S)
