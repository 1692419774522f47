"""What every activity gets by default: heartbeats, named failures, log lines that say where.

An activity that has a heartbeat timeout heartbeats by itself while it runs, so that a worker
that died is noticed within seconds and a cancelled activity learns of it.
"""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from durable_agents.models.errors import DurableAgentsError, FinalError, TransientError
from durable_agents.models.status import Usage

FIRST_HEARTBEAT_S = 2.5  # what ends sooner pays nothing; the timeout is 5 s
HEARTBEAT_EVERY_S = 2.0
AT_ONCE = timedelta(milliseconds=1)

logger = logging.getLogger(__name__)


class ActivityDefaults(Interceptor):
    """Gives activities what they should have by default, not by memory."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK names it
    ) -> ActivityInboundInterceptor:
        """Wrap the execution of activities."""
        return _Defaults(super().intercept_activity(next))


class _Defaults(ActivityInboundInterceptor):
    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK names it
    ) -> Any:
        """Run an activity with a beating heart, and name its failure."""
        info = activity.info()
        beat = _Heart() if info.heartbeat_timeout else None
        if info.attempt > 1:
            _count_retry()
        try:
            return await super().execute_activity(input)
        except DurableAgentsError as error:
            # Without its cause: history keeps the sentence, the log keeps the trace.
            logger.info("Activity failed", exc_info=True)
            raise as_application_error(error) from None
        except ValidationError as error:
            logger.info("Activity failed", exc_info=True)
            raise ApplicationError(str(error), type="ValidationError", non_retryable=True) from None
        except TemporalError:
            raise
        except Exception as error:
            # Not foreseen: what it says may be long and hold data, so the log alone gets it all.
            logger.warning("Activity failed unexpectedly", exc_info=True)
            raise ApplicationError(
                str(error).split("\n", 1)[0][:300], type=type(error).__name__
            ) from None
        finally:
            if beat is not None:
                beat.stop()


def _count_retry() -> None:
    """Count an attempt that is not the first; the SDK's meter says of which activity."""
    meter = activity.metric_meter()
    meter.create_counter(
        "durable_agents_activity_retries", "Attempts at an activity that were not the first."
    ).add(1)


class _Heart:
    """Heartbeats from the event loop's own timer: an activity that ends soon pays nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(FIRST_HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        with contextlib.suppress(RuntimeError):  # the activity has just ended
            activity.heartbeat()
        self._timer = self._loop.call_later(HEARTBEAT_EVERY_S, self._beat)

    def stop(self) -> None:
        """Stop with the activity."""
        self._timer.cancel()


def as_application_error(error: DurableAgentsError) -> ApplicationError:
    """Name an error for history: its class is the type; whether it is final goes along.

    So does what the step has used of a budget, where it has used any.
    """
    return ApplicationError(
        error.message,
        *([error.usage] if error.usage != Usage() else []),
        type=type(error).__name__,
        non_retryable=isinstance(error, FinalError),
        next_retry_delay=_delay_of(error),
    )


def _delay_of(error: DurableAgentsError) -> timedelta | None:
    """The delay that the server named. Temporal takes none at all for "not named"."""
    if not isinstance(error, TransientError) or error.retry_after is None:
        return None
    return max(error.retry_after, AT_ONCE)
