"""Which runs are meant, and how acting on many of them ends."""

import asyncio
import io

import pytest

from durable_agents.models.errors import InputError, NotFoundError
from starters.choosing import Chosen, Filter, Outcome, act_on_all, ask


def run(number: int) -> Chosen:
    return Chosen(f"run-{number}", "r", "ReActWorkflow", "running")


@pytest.mark.parametrize(
    ("which", "query"),
    [
        (Filter(pattern="react"), "Pattern = 'react' AND ExecutionStatus = 'Running'"),
        (Filter(user="o'neil"), "UserId = 'o\\'neil' AND ExecutionStatus = 'Running'"),
        (Filter(status="timed_out"), "ExecutionStatus = 'TimedOut'"),
        (
            Filter(query="StartTime > 'x' OR Phase = 'running'"),
            "(StartTime > 'x' OR Phase = 'running')",
        ),
        (
            Filter(pattern="order", phase="compensating"),
            "Pattern = 'order' AND Phase = 'compensating' AND ExecutionStatus = 'Running'",
        ),
        (Filter(workflow_id="r1"), "ExecutionStatus = 'Running'"),
    ],
)
def test_a_filter_becomes_a_visibility_query(which: Filter, query: str) -> None:
    assert which.visibility("running") == query


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        (Filter(), "Say which run"),
        (Filter(workflow_id="r1", pattern="react"), "not both"),
        (Filter(phase="asleep"), "no phase asleep"),
        (Filter(status="done"), "no status done"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(which: Filter, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        which.visibility()


async def test_what_fails_for_one_run_keeps_none_of_the_others_from_it() -> None:
    async def act(one: Chosen) -> Outcome:
        if one.workflow_id == "run-1":
            raise NotFoundError("It is gone.")
        return Outcome(one, done="done")

    told = await act_on_all([run(0), run(1), run(2)], act)

    assert [(one.done, one.error) for one in told] == [
        ("done", ""),
        ("", "It is gone."),
        ("done", ""),
    ]


async def test_so_many_are_acted_on_at_once_and_no_more() -> None:
    at_work, most = 0, 0

    async def act(one: Chosen) -> Outcome:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return Outcome(one, done="done")

    told = await act_on_all([run(number) for number in range(20)], act, at_once=3)

    assert (len(told), most) == (20, 3)


def test_where_nobody_can_be_asked_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    with pytest.raises(InputError, match="--yes"):
        ask("Cancel 2 runs?", yes=False)

    ask("Cancel 2 runs?", yes=True)
