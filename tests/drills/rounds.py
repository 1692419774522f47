"""The rounds of the drills: which fault comes at which step of which flow."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.drills.episodes import Fault, Outcome, Place, Undisturbed, compared, play
from tests.drills.faults import (
    EachItsOwn,
    WorkerKilled,
    WorkerKilledInside,
    bad_answers,
    bad_answers_in_turn,
    of_servers,
)
from tests.drills.flows import Flow
from tests.drills.stage import Stage
from tests.drills.watched_worker import Moment

AT_ONCE = 48  # runs: so many come to their steps before the first of them is too late
QUICK_MANNERS = 3  # of cutting a network; the last one takes its time
MOST_AT_ONCE = 120  # of those that need not come to a step in time
CALLS_TRIED = 3  # of a flow's model calls, one after the other from round to round
FEW = 2  # flows
PER_FLOW = 4  # runs that meet one kind of bad answer


@dataclass(frozen=True)
class Episode:
    """Some runs, and the fault that they meet together."""

    fault: Fault
    places: tuple[Place, ...]


def whole_round(flows: Sequence[Flow], known: Undisturbed, number: int) -> Iterator[Episode]:
    """A worker killed before, in and after every step; every other fault at every step.

    Of the manners in which a network is cut, each step meets one in each round, and the others in
    the rounds that follow.
    """
    starts = [place for flow in flows for place in known.places(flow, "before")]
    ends = [place for flow in flows for place in known.places(flow, "after")]
    yield from _episodes(WorkerKilled(), starts)
    yield from _episodes(WorkerKilled(), ends)
    yield from _episodes(WorkerKilledInside(), starts)
    places = starts if number % 2 == 0 else ends
    for place, fault in enumerate(faults := of_servers()):
        manners = [one for one in faults if one.group == fault.group]
        mine = places[(number + place) % len(manners) :: len(manners)]
        yield from _episodes(fault, [one for one in mine if fault.fits(one.flow)])
    answers = bad_answers(known.calls, number % CALLS_TRIED, patient=True)
    places = _meeting(answers, flows) * PER_FLOW
    few = len(flows) <= FEW  # there are not enough cities for as many runs of one flow
    yield from _episodes(EachItsOwn(answers), places, at_once=AT_ONCE if few else MOST_AT_ONCE)


def of_workers(flows: Sequence[Flow], known: Undisturbed) -> Iterator[Episode]:
    """A worker killed once before and once after a step of each flow."""
    yield Episode(
        WorkerKilled(),
        (*_one_each(flows, known, "before"), *_one_each(flows, known, "after")),
    )


def of_each_server(flows: Sequence[Flow], known: Undisturbed) -> Iterator[Episode]:
    """Each server killed, the network to each cut in one manner, and the disk full."""
    groups: dict[str, list[Fault]] = {}
    for fault in of_servers():
        groups.setdefault(fault.group, []).append(fault)
    for number, faults in enumerate(groups.values()):
        moment: Moment = "before" if number % 2 == 0 else "after"
        manner = faults[number % min(len(faults), QUICK_MANNERS)]
        fitting = [flow for flow in flows if manner.fits(flow)]
        yield Episode(manner, tuple(_one_each(fitting, known, moment)))


def of_bad_answers(flows: Sequence[Flow], known: Undisturbed) -> Episode:
    """All that models and services do wrong, for each flow that asks them."""
    faults = bad_answers_in_turn(known.calls)
    return Episode(EachItsOwn(faults), tuple(_meeting(faults, flows)))


def _meeting(faults: Sequence[Fault], flows: Sequence[Flow]) -> list[Place]:
    return [Place(flow, meets=fault.name) for fault in faults for flow in flows if fault.fits(flow)]


def _one_each(flows: Sequence[Flow], known: Undisturbed, moment: Moment) -> Iterator[Place]:
    """A step in the middle of each flow."""
    for flow in flows:
        places = known.places(flow, moment)
        yield places[len(places) // 2]


def _episodes(
    fault: Fault, places: Sequence[Place], *, at_once: int = AT_ONCE
) -> Iterator[Episode]:
    mixed = list(places)
    random.Random(len(mixed)).shuffle(mixed)  # so that each has some of every flow
    count = -(-len(mixed) // at_once)
    for number in range(count):
        yield Episode(fault, tuple(mixed[number::count]))


async def run(stage: Stage, episode: Episode) -> list[Outcome]:
    """Play an episode, and hold what its runs leave against what undisturbed ones do."""
    return compared(await play(stage, episode.places, episode.fault))
