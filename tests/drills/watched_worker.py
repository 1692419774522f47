"""A worker process whose steps are watched and can be held, under a keeper that restarts it.

`python -m tests.drills.watched_worker` takes what `python -m workers.process` takes. It is that
process; its activities say in a file when they begin and end, and wait where they are told to,
so that a fault can come at exactly that step. The keeper loads the code once and forks, so that
a killed worker is there again in a moment. DRILL_FOLDER says where the files are.
"""

import asyncio
import os
import re
import select
import sys
import time
from pathlib import Path
from typing import Any, Literal, cast

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from durable_agents.jobs.kind import JobKind
from durable_agents.jobs.kinds import JOB_KINDS
from durable_agents.runtime import connection
from durable_agents.runtime.activity_interceptor import ActivityDefaults
from tests.drills.counting_worker import COUNTED
from workers import process

Moment = Literal["before", "after"]

WORD = re.compile(r"zq[b-z]{10}")
NUMBERED = re.compile(r"^(job|told|tell)-.*$")
LOOK_EVERY_S = 0.03
RESTART_AFTER_S = 0.1
PID = "pid "


def step_name(activity_id: str) -> str:
    """What a step is called in every run: some ids hold the numbers of jobs or times."""
    return NUMBERED.sub(r"\1", activity_id)


def word_in(workflow_id: str) -> str:
    """The word by which all workflows of one scenario are known; empty for others."""
    found = WORD.search(workflow_id)
    return found[0] if found else ""


def hold_name(word: str, step: str, moment: Moment) -> str:
    """The file that stands for a hold."""
    return f"{word}~{step}~{moment}"


class WatchedDefaults(ActivityDefaults):
    """What activities get by default, and inside of it, where they heartbeat, the watching."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK names it
    ) -> ActivityInboundInterceptor:
        return super().intercept_activity(_Watched(next))


class _Watched(ActivityInboundInterceptor):
    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK names it
    ) -> Any:
        info = activity.info()
        word, step = word_in(info.workflow_id or ""), step_name(info.activity_id)
        if not word:
            return await super().execute_activity(input)
        await _hold(word, step, "before")
        _note("begun", word, step, info.attempt)
        try:
            result = await super().execute_activity(input)
        finally:  # also of a step that fails: nobody is at work in it any more
            _note("ended", word, step, info.attempt)
        await _hold(word, step, "after")
        return result


async def _hold(word: str, step: str, moment: Moment) -> None:
    """Wait if that is asked for, once; the file is there as long as it lasts."""
    name = hold_name(word, step, moment)
    held = _FOLDER / "held" / name
    try:
        (_FOLDER / "holds" / name).rename(held)
    except FileNotFoundError:
        return
    try:
        while held.exists():  # noqa: ASYNC110 - another process takes it away
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        held.unlink(missing_ok=True)  # a step that is cut off holds no longer


def _note(what: str, word: str, step: str, attempt: int) -> None:
    line = f"{what}\t{word}\t{step}\t{attempt}\n"
    descriptor = os.open(_FOLDER / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def main() -> None:
    """Keep a worker running until standard input ends."""
    import apprise  # noqa: F401 # pyright: ignore[reportUnusedImport] - loaded once for all

    connection.ActivityDefaults = WatchedDefaults
    cast(dict[str, JobKind], JOB_KINDS)[COUNTED.name] = COUNTED
    while True:
        pid = os.fork()
        if pid == 0:
            try:
                process.main()
            finally:
                os._exit(1)
        sys.stdout.write(f"{PID}{pid}\n")
        sys.stdout.flush()
        os.waitpid(pid, 0)
        time.sleep(RESTART_AFTER_S)
        if select.select([sys.stdin], [], [], 0)[0]:
            return


_FOLDER = Path(os.environ.get("DRILL_FOLDER", "."))

if __name__ == "__main__":
    main()
