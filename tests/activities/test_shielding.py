"""What must not be cut short comes to its end, however often it is cancelled."""

import asyncio

import pytest

from activities.shielding import to_its_end


class Work:
    """Work that ends when it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.go_on = asyncio.Event()
        self.is_done = False
        self._failure = failure

    async def __call__(self) -> str:
        await self.go_on.wait()
        self.is_done = True
        if self._failure is not None:
            raise self._failure
        return "done"


async def cancelled_often(work: Work) -> asyncio.Task[str]:
    """Somebody who waits for the work, cancelled three times."""
    waiting = asyncio.ensure_future(to_its_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return waiting


async def test_without_a_cancel_the_result_is_that_of_the_work() -> None:
    work = Work()
    work.go_on.set()

    assert await to_its_end(work()) == "done"


async def test_cancels_take_effect_when_the_work_is_done() -> None:
    work = Work()
    waiting = await cancelled_often(work)

    assert (waiting.done(), work.is_done) == (False, False)
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.is_done


async def test_a_failure_goes_before_a_cancel() -> None:
    work = Work(ValueError("no"))
    waiting = await cancelled_often(work)

    work.go_on.set()

    with pytest.raises(ValueError, match="no"):
        await waiting


async def test_work_that_is_cancelled_itself_ends_the_wait() -> None:
    task = asyncio.ensure_future(Work()())
    waiting = asyncio.ensure_future(to_its_end(task))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_timeout_is_told_when_the_work_is_done() -> None:
    work = Work()
    asyncio.get_running_loop().call_later(0.05, work.go_on.set)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await to_its_end(work())

    assert work.is_done
