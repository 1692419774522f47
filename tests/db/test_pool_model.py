"""A work pool against a model: claims, fences, dead lanes, cancels, retries and resizing.

Lanes take the steps that the workflow takes, on the real tables. At any moment a lane may die and
its next run begin, while what the old one still had in hand is delivered late.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from sqlalchemy import text

from durable_agents.db import cancelled_jobs, claims, pools, reports
from durable_agents.models.errors import StaleJobError
from durable_agents.models.jobs import ClaimedJob
from tests.db.effect_steps import ticket
from tests.db.pooling import Lane, enqueue, job, make_due, new_pool, promote, run_of
from tests.stateful import SEEDS, Action, Steps, play

LANES = 4
MOST_TURNS = 300
TRIES = {"retry": {"attempts": 2, "initial_s": 0, "max_s": 0}}

HOW = ("done", "done", "failed", "final", "twice")
_EFFECT = "model-job-{0}"
_ALIVE = ("queued", "delayed", "running")


@dataclass
class Slot:
    """A lane's open run: the lane as the tables know it, and the job that it holds."""

    lane: Lane
    holds: ClaimedJob | None = None
    claims: list[str] = field(default_factory=list[str])


class PoolMachine(Steps):
    """One pool, its lanes, and what happens to its jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ""
        self.slots: dict[int, Slot] = {}
        self.width = 2
        self.is_paused = False
        self.jobs: set[int] = set()
        self.fences: dict[int, int] = {}
        self.number = 0
        self.hands: list[tuple[Slot, ClaimedJob]] = []  # what somebody holds, or believes to hold
        self.handed: list[tuple[Slot, ClaimedJob]] = []  # all that was ever handed out

    @initialize(seed=SEEDS)
    def begin_by_chance(self, seed: int) -> None:
        """A pool of two lanes, of which two more are never to be used before it grows."""
        self.pool = self.do(new_pool(self.database, max_parallelism=self.width))
        for number in range(LANES):
            self.slots[number] = Slot(self.do(Lane(self.database, self.pool, number).begin()))
        self.rush_through(seed)

    @rule(seed=SEEDS)
    def rush_through(self, seed: int) -> None:
        """Do many things in a row."""
        claim: list[Action] = [lambda c: self.claim(c.randrange(LANES), c.random() < 0.3)]
        report: list[Action] = [lambda c: self.report(c.randrange(99), c.choice(HOW))]
        die: list[Action] = [lambda c: self.let_a_lane_die(c.randrange(LANES))]
        self.rush(
            seed,
            *(claim * 8),
            *(report * 4),
            *(die * 3),
            lambda c: self.put_jobs_in(c.randint(1, 2), c.random() < 0.3),
            lambda c: self.put_back(c.randrange(99)),
            lambda c: self.cancel(c.randrange(99)),
            lambda c: self.change(c.choice((0, 2, LANES, LANES)), c.random() < 0.2),
            lambda c: self.change(LANES, False),
            lambda _: self.wait(),
        )

    @rule(count=st.integers(1, 3), twice=st.booleans())
    def put_jobs_in(self, count: int, twice: bool) -> None:
        """Put jobs in; a second delivery of the same keys puts nothing in."""
        self.number += 1
        new = [job(key=f"{self.number}-{n}", **TRIES) for n in range(count)]
        ids = self.do(enqueue(self.database, self.pool, new))
        if twice:
            assert self.do(enqueue(self.database, self.pool, new)) == []
        assert len(ids) == count
        self.jobs |= set(ids)

    @rule(number=st.integers(0, LANES - 1), is_lost=st.booleans())
    def claim(self, number: int, is_lost: bool) -> None:
        """Ask for a job; when the answer is lost, the same claim gets the same one."""
        slot = self.slots[number]
        if slot.holds is not None:
            return
        name = f"c{len(slot.claims)}"
        slot.claims.append(name)
        got = self.do(slot.lane.claimed(name)).job
        if is_lost:
            assert self.do(slot.lane.claimed(name)).job == got or got is None
        if got is None:
            return
        assert number < self.width
        assert not self.is_paused
        assert got.fence > self.fences.get(got.job_id, 0)
        self.fences[got.job_id] = got.fence
        slot.holds = got
        self.hands.append((slot, got))
        self.handed.append((slot, got))

    @rule(nth=st.integers(0, 9), how=st.sampled_from(HOW))
    def report(self, nth: int, how: str) -> None:
        """Write what became of a job; who does not hold it any more is refused."""
        if not self.hands:
            return
        slot, got = self.hands.pop(nth % len(self.hands))
        is_mine = self.do(self._runs(got))
        if how in {"done", "twice"}:
            assert self.do(self._finish(got)) == is_mine
            if how == "twice":
                assert not self.do(self._finish(got))
        else:
            self.do(slot.lane.fail(got, is_final=how == "final"))
            assert not self.do(self._runs(got))
        if slot.holds == got:
            slot.holds = None

    @rule(number=st.integers(0, LANES - 1))
    def let_a_lane_die(self, number: int) -> None:
        """Begin the next run of a lane; the one before may write late."""
        lane = Lane(self.database, self.pool, number)
        self.slots[number] = Slot(self.do(lane.begin()))

    @rule(nth=st.integers(0, 9))
    def cancel(self, nth: int) -> None:
        """Cancel a job; of one that runs the lane is told, which then reports it."""
        if not self.jobs:
            return
        job_id = sorted(self.jobs)[nth % len(self.jobs)]
        status, lane = self.do(self._cancelled(job_id))
        assert (status == "running") == (lane >= 0)

    @rule(nth=st.integers(0, 9))
    def put_back(self, nth: int) -> None:
        """Put a job back as the reconciler does that found a lane's run closed, perhaps late."""
        if not self.handed:
            return
        slot, got = self.handed[nth % len(self.handed)]
        self.do(self._put_back(got))
        if slot.holds == got:
            slot.holds = None

    @rule(
        width=st.sampled_from((0, 1, 2, LANES, LANES)),
        is_paused=st.sampled_from((False,) * 3 + (True,)),
    )
    def change(self, width: int, is_paused: bool) -> None:
        """Resize, pause or resume the pool."""
        self.do(self._configured(width, is_paused=is_paused))
        self.width, self.is_paused = width, is_paused

    @rule()
    def wait(self) -> None:
        """Let the time of what is delayed come."""
        self.do(make_due(self.database, self.pool))
        self.do(promote(self.database, self.pool))

    @invariant()
    def no_job_is_lost_and_none_is_done_twice(self) -> None:
        """Each job is there; each that is done has its effect once, and no other has one."""
        if not self.pool:
            return
        rows = self.do(self._rows())
        assert {row.job_id for row in rows} == self.jobs
        for row in rows:
            assert row.effects == (row.status == "done"), row
            assert row.fence == self.fences.get(row.job_id, 0), row
        lanes_at_work = [row.lane for row in rows if row.status == "running"]
        assert len(lanes_at_work) == len(set(lanes_at_work))

    def check_invariants_now(self) -> None:
        """After each step of a rush, too."""
        self.no_job_is_lost_and_none_is_done_twice()

    def teardown(self) -> None:
        """Let the lanes work until nothing is left: every job is finished."""
        if not self.pool:
            return
        self.change(LANES, is_paused=False)
        for number in range(LANES):
            self.let_a_lane_die(number)
        for _ in range(MOST_TURNS):
            self.wait()
            got = self.do(self.slots[0].lane.claimed()).job
            if got is None:
                break
            self.fences[got.job_id] = got.fence
            assert self.do(self._finish(got))
        self.no_job_is_lost_and_none_is_done_twice()
        assert not [row for row in self.do(self._rows()) if row.status in _ALIVE]

    async def _finish(self, got: ClaimedJob) -> bool:
        """Do a job's effect and store that it is done, in one transaction; False when refused."""
        key = _EFFECT.format(got.job_id)
        try:
            async with self.database.transaction() as connection:
                await ticket(key, "done")(connection)
                await claims.finish(connection, run_of(got), {"ok": True})
        except StaleJobError:
            return False
        return True

    async def _runs(self, got: ClaimedJob) -> bool:
        """Whether a job is still that of who was handed it with this fence."""
        try:
            async with self.database.statement() as connection:
                await claims.load(connection, run_of(got))
        except StaleJobError:
            return False
        return True

    async def _cancelled(self, job_id: int) -> tuple[str, int]:
        async with self.database.statement() as connection:
            status, lane = await cancelled_jobs.cancel(connection, self.pool, job_id)
        return status, lane

    async def _put_back(self, got: ClaimedJob) -> None:
        async with self.database.statement() as connection:
            await reports.put_back_one(connection, job_id=got.job_id, fence=got.fence)

    async def _configured(self, width: int, *, is_paused: bool) -> None:
        async with self.database.transaction() as connection:
            await pools.configure(connection, self.pool, max_parallelism=width, is_paused=is_paused)

    async def _rows(self) -> list[Any]:
        query = text(
            "SELECT job_id, status, fence, lane, (SELECT count(*) FROM tickets "
            "WHERE effect_key = 'model-job-' || job_id) AS effects FROM jobs WHERE pool = :pool"
        )
        async with self.database.statement() as connection:
            return list(await connection.execute(query, {"pool": self.pool}))


def test_any_order_of_claims_deaths_and_cancels_loses_no_job_and_does_none_twice(
    database_url: str,
) -> None:
    play(PoolMachine, database_url, examples=2, steps=8, seeds=(0, 1, 2, 3))
