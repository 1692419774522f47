"""Many runs at once, held each at a step of its own, while one fault comes and goes."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError

from durable_agents.jobs import lanes
from starters import running
from tests.drills import people, tally
from tests.drills.flows import POOL, Flow, new_jobs, words_for, workflow_of
from tests.drills.leavings import LEAVINGS
from tests.drills.people import AWAY
from tests.drills.stage import Stage
from tests.drills.tally import Difference, Tally
from tests.drills.watched_worker import Moment, hold_name

HELD_WITHIN_S = 14  # a step of the database has 20 s
ENDED_WITHIN_S = 300
LOOK_EVERY_S = 0.1
REFUSED = {"route": "chat", "status": 400, "times": -1}
BY_CHANCE = re.compile(r"look-(?!1$)")  # how often a run looks depends on how long it takes


@dataclass(frozen=True)
class Place:
    """A step of a flow, and whether its work is done but not reported yet.

    `meets` names the fault, where the runs of an episode meet different ones.
    """

    flow: Flow
    step: str = ""
    moment: Moment = "before"
    meets: str = ""


@dataclass
class Scenario:
    """One run of a flow."""

    place: Place
    word: str
    run_id: str = ""
    handle: WorkflowHandle[Any, Any] | None = None
    end: str = ""
    met: bool = False

    @property
    def flow(self) -> Flow:
        """What it is a run of."""
        return self.place.flow


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    scenario: Scenario
    tally: Tally
    difference: Difference | None = None


@dataclass
class Undisturbed:
    """What runs of the flows do that meet no fault: their steps, and how often they ask a model."""

    steps: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    calls: dict[str, int] = field(default_factory=dict[str, int])

    def places(self, flow: Flow, moment: Moment) -> list[Place]:
        """All steps of a flow, but for moments that never come, or are held to be cancelled in."""
        without = {*flow.fails_in, flow.cancelled_in} if moment == "after" else set[str]()
        steps = self.steps[flow.name]
        return [Place(flow, step, moment) for step in steps if step not in without]


async def undisturbed(stage: Stage, flows: Sequence[Flow], *, times: int = 2) -> Undisturbed:
    """Run each flow so many times, all at once, to see what it does.

    Raises:
        AssertionError: A run leaves something else than it should: what a flow never does cannot
            be missed later.
    """
    known = Undisturbed()
    outcomes = await play(stage, [Place(flow) for flow in flows for _ in range(times)])
    for number, flow in enumerate(flows):
        mine = outcomes[number * times : (number + 1) * times]
        wrong = failures(compared(mine))
        assert not wrong, wrong
        words = [one.scenario.word for one in mine]
        steps = [dict.fromkeys(steps_of(stage, word)) for word in words]
        known.steps[flow.name] = tuple(
            step
            for step in steps[0]
            if all(step in others for others in steps) and not BY_CHANCE.match(step)
        )
        known.calls[flow.name] = await _model_calls(stage, flow, words[0])
    return known


async def _model_calls(stage: Stage, flow: Flow, word: str) -> int:
    """How often a run asked a model, but for the calls that were to be refused."""
    calls = len(await stage.simulator.calls(flow.match(word)))
    if flow.refused is not None:
        calls -= len(await stage.simulator.calls(flow.refused(word)))
    return calls


def steps_of(stage: Stage, word: str, what: str = "begun") -> list[str]:
    """The steps that the worker has begun, or ended, for a run; each as often as that."""
    lines = (stage.folder / "steps").read_text(encoding="utf-8").splitlines()
    told = [line.split("\t") for line in lines]
    return [step for kind, whose, step, _ in told if (kind, whose) == (what, word)]


class Fault:
    """Something that goes wrong; what it does not do, it leaves as it is here.

    Attributes:
        name: What it is called in full.
        group: What the table calls it and its like.
    """

    name: str = ""
    group: str = ""

    def fits(self, flow: Flow) -> bool:
        """Whether a run of this flow can meet it."""
        return True

    def of(self, scenario: Scenario) -> "Fault":
        """The one that a run meets, where this stands for several."""
        return self

    async def arrange(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        """Do what has to be done before the runs start."""

    async def begin(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        """Begin; all runs are held at their places, and go on when this returns."""

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        """End it, in its own time."""

    async def conclude(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        """See, when all runs have ended, which have met it, where being held does not tell."""


async def play(stage: Stage, places: Sequence[Place], fault: Fault | None = None) -> list[Outcome]:
    """Start a run for each place, let a fault come when they are there, and wait for their ends."""
    words = words_for([place.flow for place in places])
    scenarios = [Scenario(place, word) for place, word in zip(places, words, strict=True)]
    fault = fault or Fault()
    for one in scenarios:
        await _make_ready(stage, one)
    await fault.arrange(stage, scenarios)
    for one in scenarios:
        await start(stage, one)
    ends = [asyncio.ensure_future(_end(stage, one)) for one in scenarios]
    await _until_held(stage, scenarios)
    for one in scenarios:
        one.met = is_held(stage, one)
    await fault.begin(stage, scenarios)
    release(stage, scenarios)
    await fault.lift(stage, scenarios)
    await _until_reached(stage)
    await asyncio.gather(*ends)
    await fault.conclude(stage, scenarios)
    for one in scenarios:
        if one.flow.refused is not None:
            await stage.simulator.forget(one.flow.refused(one.word))
    return await outcomes_of(stage, scenarios)


async def outcomes_of(stage: Stage, scenarios: Sequence[Scenario]) -> list[Outcome]:
    """Count what runs have left."""
    named = {one.word: one.run_id for one in scenarios}
    found = await tally.count(stage.database, named, stage.receiver.received)
    for one in scenarios:
        found[one.word][f"run {one.end}"] += 1
    return [Outcome(one, found[one.word]) for one in scenarios]


def compared(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Hold runs against what runs of their flows leave that nothing disturbs."""
    return [
        Outcome(one.scenario, one.tally, tally.compare(one.tally, LEAVINGS[one.scenario.flow.name]))
        for one in outcomes
    ]


async def _make_ready(stage: Stage, scenario: Scenario) -> None:
    """Ask for what is to happen to a run: its holds, and calls that are refused before others."""
    place, flow, word = scenario.place, scenario.flow, scenario.word
    if place.step:
        (stage.folder / "holds" / hold_name(word, place.step, place.moment)).touch()
    if flow.cancelled_in:
        (stage.folder / "holds" / hold_name(word, flow.cancelled_in, "after")).touch()
    if flow.refused is not None:
        await stage.simulator.ask_for({**REFUSED, "match": flow.refused(word)})


async def start(stage: Stage, scenario: Scenario) -> None:
    """Make a run ready and start it, as starters do."""
    flow, word = scenario.flow, scenario.word
    if flow.prepare is not None:
        await flow.prepare(stage.database, word)
    if flow.make is None:
        await lanes.submit(stage.client, stage.database, word, new_jobs())
        return
    request = flow.make(word)
    told = running.Flow(workflow=workflow_of(request), pattern="drill", summary=flow.name)
    scenario.handle = await running.start(stage.client, told, request, f"drill-{word}")
    scenario.run_id = scenario.handle.first_execution_run_id or ""


def release(stage: Stage, scenarios: Sequence[Scenario]) -> None:
    """Let all runs go on that are held at their places, and hold no more there."""
    for one in scenarios:
        name = hold_name(one.word, one.place.step, one.place.moment)
        for folder in ("holds", "held"):
            (stage.folder / folder / name).unlink(missing_ok=True)


def is_held(stage: Stage, scenario: Scenario) -> bool:
    place = scenario.place
    return (stage.folder / "held" / hold_name(scenario.word, place.step, place.moment)).exists()


async def _until_held(stage: Stage, scenarios: Sequence[Scenario]) -> None:
    """Wait until every run is at its place, or has ended, or the first has waited long enough."""
    held_since: float | None = None
    while not all(one.end or not one.place.step or is_held(stage, one) for one in scenarios):
        await asyncio.sleep(LOOK_EVERY_S)
        if held_since is None and any((stage.folder / "held").iterdir()):
            held_since = time.monotonic()
        if held_since is not None and time.monotonic() > held_since + HELD_WITHIN_S:
            return


async def _until_reached(stage: Stage) -> None:
    """Wait until the database answers us, too; connections that died are forgotten on the way."""
    async with asyncio.timeout(ENDED_WITHIN_S):
        while True:
            with suppress(*AWAY):
                await stage.database.ping()
                return
            await asyncio.sleep(LOOK_EVERY_S)


async def _end(stage: Stage, scenario: Scenario) -> None:
    """Wait for the end of a run, also while the server is away; do what people do to it."""
    try:
        async with asyncio.timeout(ENDED_WITHIN_S):
            if scenario.flow.name == POOL:
                await _until_jobs_ended(stage, scenario.word)
                scenario.end = "completed"
                return
            await people.act(stage, scenario)
            scenario.end = await _result(scenario)
    except TimeoutError:
        scenario.end = "open"


async def _result(scenario: Scenario) -> str:
    assert scenario.handle is not None
    while True:
        try:
            await scenario.handle.result()
        except WorkflowFailureError as error:
            return "cancelled" if isinstance(error.cause, CancelledError) else "failed"
        except RPCError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            return "completed"


async def _until_jobs_ended(stage: Stage, word: str) -> None:
    query = text(
        "SELECT count(*) FROM jobs WHERE pool = :pool AND status NOT IN ('done', 'failed')"
    )
    while True:
        with suppress(*AWAY):
            async with stage.database.statement() as connection:
                if not await connection.scalar(query, {"pool": word}):
                    return
        await asyncio.sleep(LOOK_EVERY_S)


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """What is lost or doubled, a line for each run."""
    found: list[str] = []
    for one in outcomes:
        difference = one.difference
        if difference is None or not (difference.lost or difference.doubled):
            continue
        place = one.scenario.place
        lines: Mapping[str, Tally] = {"lost": difference.lost, "doubled": difference.doubled}
        told = "; ".join(f"{name} {dict(what)}" for name, what in lines.items() if what)
        at = place.meets or f"{place.moment} {place.step}"
        found.append(f"{place.flow.name}, {at} ({one.scenario.word}): {told}")
    return found
