"""The drills in short: each fault at least once for each flow that it fits, on servers of its own.

`make drills` plays them at every step of every flow.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.drills import rounds
from tests.drills.branches import branches
from tests.drills.episodes import (
    Place,
    Undisturbed,
    failures,
    play,
    steps_of,
    undisturbed,
)
from tests.drills.flows import Flow, flows
from tests.drills.rounds import Episode
from tests.drills.stage import Stage, set_up


@pytest.fixture(scope="module")
async def stage(_no_foreign_environment: None) -> AsyncIterator[Stage]:
    async with set_up() as running:
        yield running


@pytest.fixture(scope="module")
def all_flows(stage: Stage) -> tuple[Flow, ...]:
    return tuple(flows(stage.servers.settings.simulator_url))


@pytest.fixture(scope="module")
async def known(stage: Stage, all_flows: tuple[Flow, ...]) -> Undisturbed:
    return await undisturbed(stage, (*all_flows, *branches()), times=1)


async def test_a_step_that_failed_is_not_taken_for_one_at_work(
    stage: Stage, all_flows: tuple[Flow, ...], known: Undisturbed
) -> None:
    undone = next(flow for flow in all_flows if flow.name == "order, undone")

    (outcome,) = await play(stage, [Place(undone)])

    begun, ended = (steps_of(stage, outcome.scenario.word, what) for what in ("begun", "ended"))
    assert "fulfil-order" in known.steps[undone.name]
    assert sorted(begun) == sorted(ended)


async def test_a_worker_killed_in_any_flow_loses_nothing_and_doubles_nothing(
    stage: Stage, all_flows: tuple[Flow, ...], known: Undisturbed
) -> None:
    wrong, missed = await _played(stage, rounds.of_workers(all_flows, known))

    assert wrong == []
    assert missed == {}


async def test_a_worker_killed_on_any_branch_of_a_flow_loses_nothing_and_doubles_nothing(
    stage: Stage, known: Undisturbed
) -> None:
    wrong, missed = await _played(stage, rounds.of_workers(branches(), known))

    assert wrong == []
    assert missed == {}


async def test_servers_killed_networks_cut_and_a_full_disk_lose_nothing_and_double_nothing(
    stage: Stage, all_flows: tuple[Flow, ...], known: Undisturbed
) -> None:
    wrong, missed = await _played(stage, rounds.of_each_server(all_flows, known))

    assert wrong == []
    assert missed == {}


async def test_bad_answers_of_models_and_services_lose_nothing_and_double_nothing(
    stage: Stage, all_flows: tuple[Flow, ...], known: Undisturbed
) -> None:
    wrong, missed = await _played(stage, [rounds.of_bad_answers(all_flows, known)])

    assert wrong == []
    assert missed == {}


async def _played(
    stage: Stage, episodes: Iterable[Episode]
) -> tuple[list[str], dict[str, set[str]]]:
    """What went wrong, and by fault the flows of runs that have not met it."""
    wrong: list[str] = []
    missed: dict[str, set[str]] = defaultdict(set)
    for episode in episodes:
        outcomes = await rounds.run(stage, episode)
        wrong += failures(outcomes)
        for one in outcomes:
            if not one.scenario.met:
                fault = one.scenario.place.meets or episode.fault.name
                missed[fault].add(one.scenario.flow.name)
    return wrong, dict(missed)
