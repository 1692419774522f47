"""Which runs are meant, and how acting on many of them ends."""

import asyncio
import io
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import typer
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from typer.testing import CliRunner

from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError, NotFoundError
from starters.cancel import cancel, cancel_one
from starters.choosing import Chosen, Filter, Outcome, act_on_all, ask, choose, confirm
from starters.purge import purge
from starters.restart import Restarting, plan_restart
from starters.running import USER_ID
from starters.terminate import Ending, end
from tests.workflows import runs

Handle = WorkflowHandle[Any, Any]


def run(number: int) -> Chosen:
    return Chosen(f"run-{number}", "r", "ReActWorkflow", "running")


@pytest.mark.parametrize(
    ("which", "query"),
    [
        (Filter(pattern="react"), "Pattern = 'react' AND ExecutionStatus = 'Running'"),
        (Filter(user="o'neil"), "ExecutionStatus = 'Running'"),
        (
            Filter(pattern="o'neil", status="failed"),
            "Pattern = 'o\\'neil' AND ExecutionStatus = 'Failed'",
        ),
        (Filter(status="timed_out"), "ExecutionStatus = 'TimedOut'"),
        (
            Filter(query="StartTime > 'x' OR Phase = 'running'"),
            "ExecutionStatus = 'Running' AND (StartTime > 'x' OR Phase = 'running')",
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


def test_that_no_runs_fit_is_told_as_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    agreed = confirm([], "cancel", dry_run=False, yes=False, as_json=True)

    assert not agreed
    assert json.loads(capsys.readouterr().out) == {"runs": [], "failed": 0}


@pytest.mark.parametrize("command", [cancel, purge])
@pytest.mark.parametrize("given", ["", " "])
def test_an_option_that_is_given_empty_does_not_mean_all(
    command: Callable[..., None], given: str
) -> None:
    app = typer.Typer()
    app.command()(command)

    ended = CliRunner().invoke(app, ["--user", given, "--yes"])

    assert ended.exit_code == 2
    assert "it is empty" in ended.output


def test_no_kinds_to_purge_does_not_mean_all_kinds() -> None:
    app = typer.Typer()
    app.command()(purge)

    ended = CliRunner().invoke(app, ["--only", "", "--yes"])

    assert ended.exit_code == 2
    assert "it is empty" in ended.output


@pytest.mark.parametrize("days", ["-1", "1e9", "inf"])
def test_an_age_beyond_all_reason_is_refused(days: str) -> None:
    app = typer.Typer()
    app.command()(purge)

    ended = CliRunner().invoke(app, ["--older-than", days, "--yes"])

    assert ended.exit_code == 2
    assert "Invalid value for '--older-than'" in ended.output


async def start(client: Client, workflow_id: str, user: str) -> Handle:
    return await client.start_workflow(
        "DebugWorkflow",
        {},
        id=workflow_id,
        task_queue="nobody-works-here",
        search_attributes=TypedSearchAttributes([SearchAttributePair(USER_ID, user)]),
    )


async def test_a_run_is_not_meant_when_a_newer_one_has_taken_its_place(
    client: Client, database: Database
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    old = await start(client, f"debug-{user}", user)
    await old.terminate()
    ended = Filter(user=user, status="terminated")

    async def meant() -> bool:
        return [one.workflow_id for one in await choose(client, ended)] == [old.id]

    await runs.until(meant, "the ended run is listed")
    (chosen,) = await choose(client, ended)
    new = await start(client, old.id, user)

    assert await choose(client, ended) == []
    with pytest.raises(InputError, match="newer run"):
        await cancel_one(client, chosen)
    with pytest.raises(InputError, match="newer run"):
        await end(Ending(client, database, "kim", "", False), chosen)
    with pytest.raises(InputError, match="newer run"):
        await plan_restart(Restarting(client, "step", "", False, False, "kim"), chosen)
    assert (await new.describe()).status == WorkflowExecutionStatus.RUNNING
    await new.terminate()


async def test_runs_are_chosen_by_the_very_name_of_a_user(client: Client) -> None:
    user = f'a\\b "{secrets.token_hex(4)}"'
    one = await start(client, f"debug-{secrets.token_hex(4)}", user)

    async def listed() -> bool:
        found = await choose(client, Filter(user=user), usual="running")
        return [chosen.workflow_id for chosen in found] == [one.id]

    await runs.until(listed, "the run is listed")
    await one.terminate()


def test_where_nobody_can_be_asked_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    with pytest.raises(InputError, match="--yes"):
        ask("Cancel 2 runs?", yes=False)

    ask("Cancel 2 runs?", yes=True)
