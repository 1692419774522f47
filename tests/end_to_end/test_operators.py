"""The commands that look after runs: restart, history, bulk cancel, terminate, purge."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.review import ReviewInput
from tests.commanding import Commands
from tests.workflows import orders, runs

pytestmark = pytest.mark.usefixtures("service")

USER = SearchAttributeKey.for_keyword("UserId")


async def test_an_order_is_restarted_from_a_step_that_is_named(
    command: Commands, commanded: Client, database: Database
) -> None:
    order_id = await orders.new_order(database)
    handle = await orders.start(commanded, order_id)
    await runs.result_of(handle)

    listed = await command("restart", handle.id)
    unknown = await command("restart", handle.id, "--from", "ship-it")
    told = await command("restart", handle.id, "--from", "charge-payment")

    assert "charge 59.97 USD" in listed.out
    assert unknown.code == 2
    assert "reserve-inventory, charge-payment, fulfil-order" in unknown.sentence
    assert told.code == 0
    assert "Runs again: charge-payment." in told.err
    assert f"Restarted {handle.id} from charge-payment" in told.out
    await runs.result_of(commanded.get_workflow_handle(handle.id))
    assert (await orders.facts(database, order_id)).charged == 1


async def test_a_history_is_written_and_replayed_and_one_that_does_not_fit_is_told(
    command: Commands, commanded: Client, database: Database, tmp_path: Path
) -> None:
    handle = await orders.start(commanded, await orders.new_order(database))
    await runs.result_of(handle)
    file, other = tmp_path / "run.json", tmp_path / "other.json"

    exported = await command("history", "export", handle.id, str(file))
    changed = file.read_text(encoding="utf-8").replace("charge-payment", "charge-later")
    other.write_text(changed, encoding="utf-8")
    fits = await command("history", "replay", str(file))
    misfit = await command("history", "replay", str(other), "--json")

    assert (exported.code, fits.code, misfit.code) == (0, 0, 1)
    assert "replays: OrderWorkflow" in fits.out
    assert misfit.json["error"]["type"] == "NondeterminismError"
    assert "'charge-later' does not match" in misfit.sentence


async def waiting_for(client: Client, user: str, number: int) -> list[WorkflowHandle[Any, Any]]:
    """Reviews for a user that wait for a person."""
    started = [
        await client.start_workflow(
            "ReviewWorkflow",
            ReviewInput(task_id="task-5"),
            id=f"review-{secrets.token_hex(4)}",
            task_queue=queues.WORKFLOWS,
            search_attributes=TypedSearchAttributes([SearchAttributePair(USER, user)]),
        )
        for _ in range(number)
    ]
    for handle in started:
        await runs.until_step(handle, "wait for approval 1")

    async def listed() -> bool:
        query = f"UserId = '{user}' AND ExecutionStatus = 'Running'"
        return len([run async for run in client.list_workflows(query)]) == number

    await runs.until(listed, "the runs are listed")
    return started


async def test_many_are_cancelled_only_when_a_person_agrees(
    command: Commands, commanded: Client
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    started = await waiting_for(commanded, user, 2)

    looked = await command("cancel", "--user", user, "--dry-run", "--json")
    nobody = await command("cancel", "--user", user)
    kept = [(await handle.describe()).status for handle in started]
    agreed = await command("cancel", "--user", user, "--json", stdin=b"y\n")

    assert {run["id"] for run in looked.json["runs"]} == {handle.id for handle in started}
    assert (nobody.code, "--yes" in nobody.last) == (2, True)
    assert kept == [WorkflowExecutionStatus.RUNNING] * 2
    assert (agreed.code, agreed.json["failed"]) == (0, 0)
    for handle in started:
        assert (await runs.failure_of(handle))[0] == "CancelledError"


async def test_what_fails_for_one_of_many_is_told_and_fails_the_command(
    command: Commands, commanded: Client
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    one, other = await waiting_for(commanded, user, 2)

    refused = await command("purge", "--user", user, "--yes")
    told = await command("restart", "--user", user, "--from", "no-such", "--yes", "--json")
    ended = await command("terminate", "--user", user, "--yes", "--reason", "the end")

    assert refused.code == 2
    assert one.id in refused.sentence
    assert other.id in refused.sentence
    assert (told.code, told.json["failed"]) == (1, 2)
    assert "no step no-such" in json.dumps(told.json)
    assert (ended.code, ended.out.count("terminated")) == (0, 2)


async def test_nothing_is_purged_that_histories_are_kept_for(command: Commands) -> None:
    refused = await command("purge", "--older-than", "0.5", "--yes")
    counted = await command("purge", "--older-than", "1", "--only", "usage", "--dry-run", "--json")

    assert refused.code == 2
    assert "keeps histories for 1 day" in refused.sentence
    assert counted.json["dry_run"] is True
    assert counted.json["tables"][0]["table"] == "llm_calls"


async def test_what_is_kept_of_a_person_is_deleted_with_their_histories(
    command: Commands, commanded: Client
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    (handle,) = await waiting_for(commanded, user, 1)
    await handle.terminate()

    done = await command("purge", "--user", user, "--yes", "--json")

    assert (done.code, done.json["histories"]) == (0, 1)

    async def forgotten() -> bool:
        return [run async for run in commanded.list_workflows(f"UserId = '{user}'")] == []

    await runs.until(forgotten, "the server has forgotten the run", within=90)
