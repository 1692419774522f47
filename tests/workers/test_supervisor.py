"""The supervisor with processes that are only as long as a test needs them."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence

import pytest

from workers import supervisor
from workers.__main__ import drain_when_told, main, most_processes
from workers.supervisor import Supervisor

READY_AND_WAIT = "print('ready', flush=True); import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY_AND_WAIT


SIGNS = """
import time
print("ready", flush=True)
while True:
    time.sleep(0.01)
    print("alive", flush=True)
"""


def supervised(
    code: str, *, processes: int = 1, program: Sequence[str] = (sys.executable, "-c")
) -> Supervisor:
    program = (*program, code)
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


async def test_a_process_that_hangs_is_ended_and_started_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(supervisor, "SILENT_S", 0.1)

    hanging = supervised(READY_AND_WAIT)
    running = asyncio.ensure_future(run(hanging))
    await until(lambda: hanging.restarts >= 1 and hanging.ready)
    hanging.stop()
    code = await running

    said = capfd.readouterr().err
    assert code == 0
    assert "Worker process 0 gave no sign of life for 0.35 s and is ended." in said
    assert "Worker process 0 ended with -9; it is started again." in said


async def test_a_process_that_gives_signs_of_life_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.1)
    living = supervised(SIGNS)
    running = asyncio.ensure_future(run(living))
    await until_ready(living)

    await until(lambda: living.children[0].silent_s > 0)
    await until(lambda: living.children[0].silent_s == 0)
    living.stop()
    await running

    assert living.restarts == 0
    assert capfd.readouterr().out == ""


async def test_what_a_process_prints_ends_nothing_however_long_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    loud = supervised(f"print('x' * 200_000); print('short'); {READY_AND_WAIT}")
    running = asyncio.ensure_future(run(loud))
    await until_ready(loud)

    loud.stop()
    code = await running

    assert (code, loud.restarts) == (0, 0)
    assert "short\n" in capfd.readouterr().out


async def test_that_nobody_reads_what_a_process_prints_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as nobody:  # noqa: PTH123, ASYNC230 - a pipe
        monkeypatch.setattr(sys, "stdout", nobody)
        loud = supervised(f"print('to nobody'); {READY_AND_WAIT}")
        running = asyncio.ensure_future(run(loud))
        await until_ready(loud)
        loud.stop()
        code = await running

    assert (code, loud.restarts) == (0, 0)


async def test_a_process_that_the_system_does_not_start_is_tried_again_and_then_given_up(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = await run(supervised("", program=("/nowhere/python",)))

    said = capfd.readouterr().err.splitlines()
    assert code == supervisor.EXIT_NOT_STARTED
    assert said[0] == "Worker process 0 cannot be started: No such file or directory."
    assert said[-1] == "Worker process 0 died 5 times; giving up."


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_each_signal_that_asks_for_the_end_drains(number: signal.Signals) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may be run by nohup

    drain_when_told(loop, told.set)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(10):
        await told.wait()

    for one, handler in before.items():
        loop.remove_signal_handler(one)
        signal.signal(one, handler)


async def test_nohup_outlives_its_terminal() -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    drain_when_told(asyncio.get_running_loop(), asyncio.Event().set)
    kept = signal.getsignal(signal.SIGHUP)

    signal.signal(signal.SIGHUP, hangup)
    for one, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(one)
        signal.signal(one, handler)
    assert kept is signal.SIG_IGN


@pytest.mark.parametrize("processes", ["0", "-1", "1000000"])
def test_as_many_processes_as_no_machine_takes_are_refused(
    processes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--processes", processes])

    said = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert f"--processes takes a number from 1 to {most_processes()} on this machine" in said


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not found():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def until_ready(given: Supervisor) -> None:
    async with asyncio.timeout(10):
        while not given.ready:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
