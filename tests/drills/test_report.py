"""What drills count, and how they tell it."""

from collections import Counter
from pathlib import Path

from tests.drills import report
from tests.drills.episodes import Outcome, Place, Scenario, compared
from tests.drills.faults import DiskFull, WorkerKilled
from tests.drills.flows import Flow
from tests.drills.report import Progress
from tests.drills.tally import RECEIVED, SENT, UNCERTAIN, compare

WHOLE = Counter({"ticket": 1, "message": 5, "run completed": 1})
TOLD = Counter({SENT: 1, RECEIVED: 1})


def test_a_run_that_left_what_an_undisturbed_one_leaves_is_well() -> None:
    found = compare(WHOLE.copy(), WHOLE)

    assert (found.lost, found.doubled, found.uncertain) == ({}, {}, 0)


def test_what_is_missing_is_lost_and_what_is_too_much_is_doubled() -> None:
    found = compare(Counter({"ticket": 2, "message": 4, "run failed": 1}), WHOLE)

    assert found.lost == {"message": 1, "run completed": 1}
    assert found.doubled == {"ticket": 1, "run failed": 1}


def test_a_notification_without_its_mark_is_uncertain_whether_it_came_or_not() -> None:
    for came in (0, 1):
        found = compare(Counter({UNCERTAIN: 1, RECEIVED: came}), TOLD)

        assert (found.lost, found.doubled, found.uncertain) == ({}, {}, 1)


def test_what_is_uncertain_hides_no_other_notification_that_never_came() -> None:
    found = compare(Counter({UNCERTAIN: 1, SENT: 1}), {SENT: 2, RECEIVED: 2})

    assert found.lost == {RECEIVED: 1}


def test_a_notification_that_came_twice_is_doubled_whatever_its_mark_says() -> None:
    for mark in (SENT, UNCERTAIN):
        found = compare(Counter({mark: 1, RECEIVED: 2}), TOLD)

        assert found.doubled == {RECEIVED: 1}


def test_a_notification_that_is_marked_and_never_came_is_lost() -> None:
    found = compare(Counter({SENT: 1}), TOLD)

    assert found.lost == {RECEIVED: 1}


def test_a_flow_that_always_fails_is_no_measure_for_others() -> None:
    scenario = Scenario(Place(Flow("order")), "zq")

    (outcome,) = compared([Outcome(scenario, Counter({"run failed": 1, "in stock": 7}))])

    assert outcome.difference is not None
    assert outcome.difference.lost["charge"] == 1


def test_of_ten_and_of_sixty_runs_95_percent_went_on_within_the_p95() -> None:
    for count, expected in ((1, 1), (10, 10), (62, 59), (100, 95)):
        assert Progress(recovered_s=list(map(float, range(1, count + 1)))).p95_s == expected


def test_a_drill_in_which_no_run_met_a_fault_shows_nothing() -> None:
    nothing, well, late = (Progress(recovered_s=[seconds]) for seconds in (1, 1, 10))
    well.add(WorkerKilled(), [_outcome(met=True)])
    late.add(WorkerKilled(), [_outcome(met=True)])

    assert [one.is_well(10) for one in (nothing, well, late)] == [False, True, False]


def test_an_interrupted_drill_goes_on_with_what_it_had_seen(tmp_path: Path) -> None:
    progress, file = Progress(episodes=3, recovered_s=[1.5]), tmp_path / "drills.json"
    progress.add(WorkerKilled(), [_outcome(met=True), _outcome(met=False)])

    progress.save(file)

    assert Progress.load(file) == progress
    assert Progress.load(tmp_path / "no.json") == Progress()


def test_runs_that_met_no_fault_are_no_scenarios_but_what_they_lose_counts() -> None:
    progress = Progress()

    progress.add(DiskFull(), [_outcome(met=True), _outcome(met=False, tickets=0)])

    assert progress.total == report.Cell(scenarios=1, lost=1)
    assert progress.wrong == [
        "database's disk full: support, after create-ticket (zq): lost {'ticket': 1}"
    ]


def test_the_table_stands_between_its_marks_and_replaces_the_one_before(tmp_path: Path) -> None:
    progress, guide = Progress(recovered_s=[2, 3]), tmp_path / "guide.md"
    progress.add(WorkerKilled(), [_outcome(met=True)])
    guide.write_text(f"Before.\n{report.BEGIN}\nold\n{report.END}\nAfter.\n", encoding="utf-8")

    report.write(progress, guide)
    report.write(progress, guide)

    written = guide.read_text(encoding="utf-8")
    assert written.startswith(f"Before.\n{report.BEGIN}\n1 scenarios: lost 0, doubled 0")
    assert written.endswith(f"{report.END}\nAfter.\n")
    assert written.count("| support | worker killed | 1 | 0 | 0 | 0 |") == 1
    assert "old" not in written


def _outcome(*, met: bool, tickets: int = 1) -> Outcome:
    scenario = Scenario(Place(Flow("support"), "create-ticket", "after"), "zq", met=met)
    tally = Counter({**WHOLE, "ticket": tickets})
    return Outcome(scenario, tally, compare(tally, WHOLE))
