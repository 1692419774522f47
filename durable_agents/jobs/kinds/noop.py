"""A job that does nothing, waits, or fails as told: to try a pool out and to measure it."""

import asyncio

from pydantic import Field

from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.models.base import Record
from durable_agents.models.errors import InputError, ServiceUnavailableError


class NoopPayload(Record):
    """Seconds to wait; how many of the first tries fail; whether it fails for good."""

    seconds: float = Field(default=0, ge=0, le=86_400, allow_inf_nan=False)
    failures: int = Field(default=0, ge=0)
    is_final: bool = False


async def _run(payload: NoopPayload, context: JobContext) -> None:
    if payload.seconds:
        await asyncio.sleep(payload.seconds)
    if payload.is_final:
        raise InputError("The job was asked to fail for good. Ask it for something else.")
    if context.failures < payload.failures:
        raise ServiceUnavailableError(
            "The job was asked to fail this time. Another try may go well."
        )


NOOP = JobKind("noop", NoopPayload, _run)
