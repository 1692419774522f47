"""Lets what must not be cut short come to its end, in activities and in workflows."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_its_end(work: Coroutine[Any, Any, Result] | asyncio.Task[Result]) -> Result:
    """Do what no cancel may cut short, however many come; they take effect when it is done.

    A failure of the work goes before a cancel: who waits for it has to know.

    Args:
        work: What to do; a task that runs already may be given as well.

    Raises:
        asyncio.CancelledError: The work is done, and a cancel came meanwhile.
    """
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait({task})  # a single one: in a workflow this is deterministic
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
