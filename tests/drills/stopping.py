"""Ends what runs in good order when the process is told to end."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def until_stopped(work: Coroutine[Any, Any, int]) -> int:
    """Work to the end, or until a signal comes; gives the exit code, as shells count them.

    Also where SIGINT is ignored, as it is for what a script starts in the background. A second
    signal changes nothing: what was mounted and started is being taken away.
    """
    loop, told = asyncio.get_running_loop(), list[signal.Signals]()
    working = asyncio.ensure_future(work)

    def stop(number: signal.Signals) -> None:
        if not told:
            working.cancel()
        told.append(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await working
    except asyncio.CancelledError:
        if not told:
            raise
        return 128 + told[0]
