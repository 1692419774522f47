"""Numbers that are used twice are not mistaken."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from durable_agents.runtime.embedded import process_identity as module
from durable_agents.runtime.embedded.parts import Part, Stage, end_parts
from durable_agents.runtime.embedded.process_identity import (
    is_alive,
    process_identity,
    working_directory,
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


@pytest.fixture(params=["as the system has it", "without /proc"])
def any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without /proc":
        monkeypatch.setattr(module, "_PROC", Path("/there/is/no/proc"))


@pytest.mark.usefixtures("any_system")
def test_a_process_keeps_its_identity_and_loses_it_when_it_ends(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = process_identity(sleeper.pid)

    assert identity
    assert is_alive(sleeper.pid, identity)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # not reaped: a zombie
    assert not is_alive(sleeper.pid, identity)
    sleeper.wait()
    assert process_identity(sleeper.pid) == ""


@pytest.mark.usefixtures("any_system")
def test_the_folder_a_process_stands_in_is_known() -> None:
    assert working_directory(os.getpid()) == Path.cwd()


def test_a_number_that_belongs_to_another_process_now_is_not_ended(
    sleeper: subprocess.Popen[bytes],
) -> None:
    said: list[str] = []
    part = Part("old", sleeper.pid, "the identity of an earlier process", Stage.WORKERS)

    end_parts([part], said.append)

    assert said == []
    assert sleeper.poll() is None


def test_a_part_that_ignores_the_gentle_signal_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    argv = [sys.executable, "-c", f"{code}; time.sleep(100)"]
    said: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        part = Part("stubborn", process.pid, process_identity(process.pid), Stage.WORKERS)

        end_parts([replace(part, signals=((signal.SIGTERM, 0.2),))], said.append)

        assert process.wait() == -signal.SIGKILL
    assert [line.split()[0] for line in said] == ["SIGTERM", "SIGKILL"]


def test_parts_are_ended_stage_by_stage() -> None:
    said: list[str] = []
    with (
        subprocess.Popen(["sleep", "100"]) as database,
        subprocess.Popen(["sleep", "100"]) as worker,
    ):
        parts = [
            Part("database", database.pid, process_identity(database.pid), Stage.POSTGRES),
            Part("worker", worker.pid, process_identity(worker.pid), Stage.WORKERS),
        ]

        end_parts(parts, said.append)

    assert [line.split()[2] for line in said] == ["worker", "database"]
