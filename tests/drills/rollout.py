"""A rollout of a breaking change with runs in flight, none of which is lost.

`python -m tests.drills.rollout` plays it on servers of its own and prints what became of the
runs. Version v1 is this checkout; v2 is a copy with the changes of docs/changing-workflows.md: a
pinned flow breaks, and a flow that follows is patched.
"""

import asyncio
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.jobs import lanes
from durable_agents.models import queues
from durable_agents.models.approval import ApprovalState
from durable_agents.models.debug import DebugInput
from durable_agents.models.review import ReviewInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, Ended, make_namespace
from tests.conftest import running_services
from tests.db.pooling import job, new_pool
from tests.docs.guides import ROOT, Change, copy_checkout, steps_of
from tests.drills.stopping import until_stopped
from tests.histories.deciding import deciding
from tests.workflows.runs import until, until_step

GUIDE = ROOT / "docs" / "changing-workflows.md"
PAUSE_S = 6.0
JOB_S = 0.4
Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Fleet:
    """Where it is played: a namespace, and commands of both versions."""

    client: Client
    database: Database
    old: Commands
    new: Commands

    async def start(self, workflow: str, request: BaseModel, count: int) -> list[Handle]:
        """Start some runs."""
        queue = queues.WORKFLOWS
        return [
            await self.client.start_workflow(
                workflow, request, id=f"{workflow}-{secrets.token_hex(4)}", task_queue=queue
            )
            for _ in range(count)
        ]


@dataclass
class Group:
    """Some runs of one kind: how many completed, and by the workers of which version."""

    what: str
    begun_on: str
    runs: int
    in_flight: int = 0
    completed: int = 0
    ended_on: Counter[str] = field(default_factory=Counter[str])

    @property
    def lost(self) -> int:
        """How many did not complete."""
        return self.runs - self.completed


def fleet(
    client: Client, database: Database, settings: Settings, folder: Path, namespace: str
) -> Fleet:
    """Commands of this checkout, and of a copy that is changed as the guide says."""
    copied = copy_checkout(folder)
    for step in steps_of(GUIDE.read_text(encoding="utf-8")):
        if isinstance(step, Change):
            step.apply(copied)
    there = {"TEMPORAL_NAMESPACE": namespace}
    old = Commands(settings, folder, WORKER_BUILD_ID="v1", **there)
    new = Commands(settings, copied, PYTHONPATH=str(copied), WORKER_BUILD_ID="v2", **there)
    return Fleet(client, database, old, new)


async def roll_out(fleet: Fleet, runs: int = 5, jobs: int = 20) -> list[Group]:
    """Begin runs on v1, make v2 current while they are in flight, and see them all end."""
    async with AsyncExitStack() as of_old, fleet.new.worker():
        await of_old.enter_async_context(fleet.old.worker())
        await _must(fleet.old, "versions", "set-current", "v1")
        reviews = await fleet.start("ReviewWorkflow", ReviewInput(task_id="task-5"), runs)
        for review in reviews:
            await until_step(review, "wait for approval 1")
        pinned = DebugInput(values=(1, 2), pause_s=PAUSE_S)
        pauses = await fleet.start("DebugWorkflow", pinned, runs)
        for pause in pauses:
            await until_step(pause, "pause")
        pool = await new_pool(fleet.database, max_parallelism=2)
        waiting = [job(payload={"seconds": JOB_S})] * jobs
        await lanes.submit(fleet.client, fleet.database, pool, waiting)
        await _must(fleet.new, "versions", "set-current", "v2")

        pooled = Group("jobs of a pool of two lanes", "v1", jobs, jobs - await _done(fleet, pool))
        groups = [
            Group("DebugWorkflow, pinned, in its pause", "v1", runs, await _open(pauses)),
            Group("ReviewWorkflow, waiting for a person", "v1", runs, await _open(reviews)),
        ]
        fresh = await fleet.start("DebugWorkflow", DebugInput(values=(1, 2)), runs)
        await asyncio.gather(*(_approve(review) for review in reviews))
        await _judge(groups[0], pauses)
        await _judge(groups[1], reviews)
        groups.append(Group("DebugWorkflow, begun after", "v2", runs))
        await _judge(groups[2], fresh)
        groups.append(await _pool(fleet, pool, pooled))
        await _must(fleet.new, "versions", "drained", "v1", "--wait")
    return groups


async def _must(command: Commands, *args: str) -> Ended:
    ended = await command(*args)
    assert ended.code == 0, f"{args}: {ended.out}{ended.err}"
    return ended


async def _approve(review: Handle) -> None:
    await deciding("1", {"verdict": "approve"})(review)
    state = await review.query("approval", result_type=ApprovalState)
    assert state.pending is None


async def _open(handles: Sequence[Handle]) -> int:
    seen = await asyncio.gather(*(handle.describe() for handle in handles))
    return sum(one.status == WorkflowExecutionStatus.RUNNING for one in seen)


async def _judge(group: Group, handles: Sequence[Handle]) -> None:
    """See runs end, and by which version's worker."""
    async with asyncio.timeout(60):
        await asyncio.gather(*(handle.result() for handle in handles))
    for handle in handles:
        seen = await handle.describe()
        group.completed += seen.status == WorkflowExecutionStatus.COMPLETED
        group.ended_on[await _last_version(handle)] += 1


async def _last_version(handle: Handle) -> str:
    """The build id of the worker that did a run's last step."""
    done = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return done[-1]


async def _done(fleet: Fleet, pool: str) -> int:
    query = text("SELECT count(*) FROM jobs WHERE pool = :pool AND status = 'done'")
    async with fleet.database.statement() as connection:
        return int(await connection.scalar(query, {"pool": pool}) or 0)


async def _pool(fleet: Fleet, pool: str, group: Group) -> Group:
    """See the jobs of a pool done whose lanes go on from one version to the other."""

    async def all_done() -> bool:
        group.completed = await _done(fleet, pool)
        return group.completed == group.runs

    await until(all_done, f"{group.runs} jobs are done", within=60)
    for number in range(2):
        lane = fleet.client.get_workflow_handle(lanes.lane_id(pool, number))
        group.ended_on[await _last_version(lane)] += 1
    return group


def table(groups: Sequence[Group]) -> str:
    """What became of the runs, for people."""
    lines = [f"{'':38}{'begun on':>9}{'runs':>6}{'in flight':>11}{'lost':>6}  ended on"]
    for one in groups:
        ended = ", ".join(f"{version}: {count}" for version, count in one.ended_on.items())
        lines.append(
            f"{one.what:38}{one.begun_on:>9}{one.runs:>6}{one.in_flight:>11}{one.lost:>6}  {ended}"
        )
    return "\n".join(lines)


async def main() -> int:
    """Play it on servers of its own; 1 when a run was lost."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running_services())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="da-rollout-")))
        database = Database(services.settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        await make_namespace(await connect(services.settings), "rollout")
        inside = services.settings.model_copy(update={"temporal_namespace": "rollout"})
        client = await connect(inside)
        groups = await roll_out(fleet(client, database, inside, folder, "rollout"))
    sys.stdout.write(f"{table(groups)}\n")
    return int(any(one.lost for one in groups))


if __name__ == "__main__":
    sys.exit(asyncio.run(until_stopped(main())))
