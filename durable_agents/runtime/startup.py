"""How services start whose parts are not there yet: they wait, and say for what.

After a reboot a worker may come up before the servers that it needs. What may pass by itself is
tried again for as long as STARTUP_WAIT_S says; what cannot is raised at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from durable_agents.models.errors import ConfigurationError, DurableAgentsError, TransientError

EXIT_TRY_LATER = 75
"""How a service ends that waited in vain (`EX_TEMPFAIL`): whoever started it may do so again."""

FIRST_PAUSE_S = 0.25  # doubled each time
LONGEST_PAUSE_S = 15

T = TypeVar("T")


async def once_there(
    attempt: Callable[[], Awaitable[T]], wait_s: float, say: Callable[[str], None]
) -> T:
    """Do what needs parts that may not be there yet, again and again until they are.

    Args:
        attempt: What is done; it may be done many times.
        wait_s: For how long in all, in seconds; 0: it is done once.
        say: Told why it waits, before each pause.

    Raises:
        DurableAgentsError: What the last attempt raised: it cannot pass, or the time is over.
    """
    until, pause = time.monotonic() + wait_s, FIRST_PAUSE_S
    while True:
        try:
            return await attempt()
        except DurableAgentsError as error:
            left = until - time.monotonic()
            if left <= 0 or not may_pass(error):
                raise
            say(error.message)
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_S)


def may_pass(error: DurableAgentsError) -> bool:
    """Whether waiting may help against an error."""
    if isinstance(error, ConfigurationError):
        return error.may_pass
    return isinstance(error, TransientError)


def exit_code_of(error: DurableAgentsError, wait_s: float, final: int) -> int:
    """The code with which a service ends that could not start.

    Args:
        error: Why.
        wait_s: For how long it has waited.
        final: The code that says that starting it again is no use.
    """
    return EXIT_TRY_LATER if wait_s and may_pass(error) else final
