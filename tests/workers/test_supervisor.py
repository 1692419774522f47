"""The supervisor with processes that are only as long as a test needs them."""

import asyncio
import sys

import pytest

from workers import supervisor
from workers.supervisor import Supervisor

READY_AND_WAIT = "print('ready', flush=True); import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY_AND_WAIT


def supervised(code: str, *, processes: int = 1) -> Supervisor:
    program = (sys.executable, "-c", code)
    return Supervisor(["llm"], processes=processes, grace_s=0.2, program=program)


async def run(given: Supervisor) -> int:
    async with asyncio.timeout(20):
        return await given.run()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RESTART_AFTER_S", 0.001)


async def test_processes_that_refuse_their_configuration_end_it_and_say_why_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    refusing = supervised("print('refused: No database.'); raise SystemExit(2)", processes=2)

    code = await run(refusing)

    assert code == 2
    assert capfd.readouterr().err == "No database.\n"


async def test_a_process_that_keeps_dying_is_given_up(capfd: pytest.CaptureFixture[str]) -> None:
    code = await run(supervised("raise SystemExit(7)"))

    said = capfd.readouterr().err.splitlines()
    assert code == 7
    assert said == [
        *["Worker process 0 ended with 7; it is started again."] * 4,
        "Worker process 0 died 5 times; giving up.",
    ]


async def test_a_process_that_was_ready_once_is_started_again_whatever_it_says_then(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = await run(supervised("print('ready'); raise SystemExit(2)"))

    assert code == 2
    assert capfd.readouterr().err.count("Worker process 0 ended with 2; it is started again.") == 4


async def test_a_process_that_does_not_drain_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "DRAIN_MARGIN_S", 0.1)
    deaf = supervised(DEAF)
    running = asyncio.ensure_future(run(deaf))
    await until_ready(deaf)

    deaf.stop()
    code = await running

    assert code == 0
    assert "did not drain in time and is ended" in capfd.readouterr().err


async def test_a_stop_while_a_process_is_being_started_leaves_none_behind() -> None:
    starting = supervised(READY_AND_WAIT)
    running = asyncio.ensure_future(run(starting))
    await asyncio.sleep(0)  # it is about to spawn

    starting.stop()
    code = await running

    process = starting.children[0].process
    assert code == 0
    assert process is None or process.returncode is not None


async def until_ready(given: Supervisor) -> None:
    async with asyncio.timeout(10):
        while not given.ready:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
