"""Which flows are drilled, what is counted of them, and which fault fits which."""

from tests.drills.branches import branches
from tests.drills.faults import bad_answers, of_servers
from tests.drills.flows import POOL, flows, words_for, workflow_of
from tests.drills.leavings import LEAVINGS
from tests.drills.tally import MEASURES, UNCERTAIN
from workers.registry import WORKFLOWS

FLOWS = (*flows("http://127.0.0.1:1"), *branches())
OF_POOLS = {"PoolLaneWorkflow"}


def test_every_workflow_is_drilled() -> None:
    drilled = {workflow_of(flow.make("zq")) for flow in FLOWS if flow.make is not None}

    assert drilled | OF_POOLS == {workflow.__name__ for workflow in WORKFLOWS}
    assert POOL in {flow.name for flow in FLOWS}


def test_what_each_flow_leaves_is_known_and_each_measure_sees_some_of_it() -> None:
    seen = {name for leavings in LEAVINGS.values() for name in leavings}

    assert set(LEAVINGS) == {flow.name for flow in FLOWS}
    assert set(MEASURES) - seen == {UNCERTAIN}


def test_many_runs_of_one_flow_are_told_apart_by_what_they_ask() -> None:
    weather = next(flow for flow in FLOWS if flow.name == "weather_advice")

    words = words_for([weather] * 44)

    assert len({weather.match(word) for word in words}) == len(set(words)) == 44


def test_a_flow_without_a_call_that_has_a_form_meets_no_answer_without_sense() -> None:
    rounds = next(flow for flow in FLOWS if flow.name == "react, out of rounds")

    fitting = {fault.group for fault in bad_answers({}, 0, patient=True) if fault.fits(rounds)}

    assert "model: 500" in fitting
    assert "model: nonsense" not in fitting


def test_flows_that_need_no_database_meet_no_fault_of_it() -> None:
    debug = next(flow for flow in FLOWS if flow.name == "debug")

    fitting = {fault.group for fault in of_servers() if fault.fits(debug)}

    assert fitting == {"Temporal killed", "network to Temporal cut"}
