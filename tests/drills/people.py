"""What people do to the runs of a drill: decide, give up, cancel; also while servers are away."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import text
from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.models.approval import Decision, Verdict
from durable_agents.models.errors import DurableAgentsError
from tests.drills.flows import Flow
from tests.drills.stage import Stage
from tests.drills.watched_worker import hold_name

LOOK_EVERY_S = 0.1
ASK_EVERY_S = 0.5  # a query costs the worker more than a look into the database costs us
ANSWER_WITHIN = timedelta(seconds=5)
AWAY = (RPCError, DurableAgentsError, OSError)
PENDING = text(
    "SELECT digest FROM approval_requests"
    " WHERE run_id = :run AND status = 'pending' AND digest <> ALL (:decided)"
)

Handle = WorkflowHandle[Any, Any]


class Run(Protocol):
    """One run of a flow."""

    @property
    def flow(self) -> Flow: ...
    @property
    def word(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def handle(self) -> Handle | None: ...


async def act(stage: Stage, run: Run) -> None:
    """Do what people do to the runs of a flow."""
    flow, handle = run.flow, run.handle
    assert handle is not None
    if flow.decisions:
        await decide(stage.database, handle, run.run_id, flow.decisions)
    if flow.gives_up:
        await give_up(handle)
    if flow.cancelled_in:
        held = stage.folder / "held" / hold_name(run.word, flow.cancelled_in, "after")
        await cancel(handle, held)


async def decide(
    database: Database, handle: Handle, run_id: str, verdicts: Sequence[Verdict]
) -> None:
    """Decide on each request of a run, once it is there."""
    decided: list[str] = []
    for verdict in verdicts:
        digest = await _pending(database, run_id, decided)
        decision = Decision(verdict=verdict, digest=digest, by="Ann", feedback="Be brief.")
        if verdict == "approve":
            decision = decision.model_copy(update={"feedback": ""})
        await _send(handle, "decide", decision)
        decided.append(digest)


async def _pending(database: Database, run_id: str, decided: Sequence[str]) -> str:
    """The digest of a request that waits; those decided stay pending until that is written."""
    while True:
        with suppress(*AWAY):
            async with database.statement() as connection:
                values = {"run": run_id, "decided": list(decided)}
                digest = await connection.scalar(PENDING, values)
            if digest:
                return str(digest)
        await asyncio.sleep(LOOK_EVERY_S)


async def give_up(handle: Handle) -> None:
    """Give up what a run cannot undo, once it asks."""
    while True:
        with suppress(*AWAY, WorkflowQueryFailedError):
            state = await handle.query("compensation", rpc_timeout=ANSWER_WITHIN)
            if state.get("stuck"):  # what is nothing is left out
                break
        await asyncio.sleep(ASK_EVERY_S)
    await _send(handle, "abandon_compensation", {"reason": "paid out by hand", "by": "Ann"})


async def cancel(handle: Handle, held: Path) -> None:
    """Cancel a run when a step is held, and let the step go on."""
    while not await asyncio.to_thread(held.exists):  # noqa: ASYNC110 - a process puts it there
        await asyncio.sleep(LOOK_EVERY_S)
    while True:
        with suppress(*AWAY):
            await handle.cancel()
            break
        await asyncio.sleep(LOOK_EVERY_S)
    await asyncio.to_thread(held.unlink, missing_ok=True)


async def _send(handle: Handle, signal: str, content: object) -> None:
    """Send a signal until it is taken; one that comes twice counts once."""
    while True:
        with suppress(*AWAY):
            await handle.signal(signal, content)
            return
        await asyncio.sleep(LOOK_EVERY_S)
