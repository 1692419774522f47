"""Works side by side, of which the first that fails ends the others."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run works side by side and give their results in order.

    When one fails, the others are cancelled: their steps are not worth paying for any more. Its
    error is raised as it is, which a task group would wrap.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
