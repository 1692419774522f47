"""The version of a worker process, and a word in its log while that version gets no work."""

import asyncio
import logging

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import WorkerDeploymentConfig

from durable_agents.clients.versions import Deployment, find_deployment
from durable_agents.runtime.settings import Settings

LOOK_AFTER_S = 10  # whoever starts workers makes their version current within seconds
SAY_AGAIN_AFTER_S = 300

logger = logging.getLogger(__name__)


def deployment_of(settings: Settings) -> WorkerDeploymentConfig | None:
    """What the workers of all roles have in common; None while no build id is set.

    A workflow that does not say how it follows new versions stays with the one it began on.
    """
    if not settings.worker_build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.worker_deployment_name, settings.worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def warn_until_served(
    client: Client, settings: Settings, *, after_s: float = LOOK_AFTER_S
) -> None:
    """Say in the log, again and again, that this worker gets no work; end when it does."""
    said = 0.0
    while True:
        await asyncio.sleep(after_s)
        try:
            found = await find_deployment(client, settings.worker_deployment_name)
        except RPCError as error:
            logger.info("The worker's version could not be looked up: %s", error)
            continue
        reason = why_idle(found, settings)
        if not reason:
            return
        now = asyncio.get_running_loop().time()
        if not said or now - said >= SAY_AGAIN_AFTER_S:
            logger.warning("%s", reason)
            said = now


def why_idle(found: Deployment | None, settings: Settings) -> str:
    """Why a worker with these settings gets no work; empty when it does.

    One whose version is draining finishes the runs that are pinned to it.
    """
    name, build_id = settings.worker_deployment_name, settings.worker_build_id
    current = found.current if found else ""
    mine = next((v for v in found.versions if v.build_id == build_id), None) if found else None
    if build_id == current or (mine is not None and mine.stage in {"ramping", "draining"}):
        return ""
    its = f"its version is {name}.{build_id}" if build_id else "it has no version"
    rival = f"{name}.{current} is current" if current else "no version is current"
    remedy = f"set-current {build_id}" if build_id else "set-current --unversioned"
    return (
        f"This worker gets no work: {its}, and {rival}. Make it current with "
        f"`durable-agents versions {remedy}`, or set WORKER_BUILD_ID to the version that is."
    )
