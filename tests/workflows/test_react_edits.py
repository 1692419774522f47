"""F9: a call that a person edited runs as edited, or is refused where the edit does not fit."""

import json

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from durable_agents.db import approval_lists, approvals
from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.reviewing import approval_of, decide
from tests.workflows.ticketing import STEP, filing, request_of, tickets_about

pytestmark = pytest.mark.usefixtures("worker")


async def test_an_edited_call_runs_with_the_arguments_of_the_person(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word, other = runs.token(), runs.token()
    handle = await filing(client, word)
    pending = (await approval_of(handle)).waiting[0]
    edit = {"subject": f"Fire {other}", "description": f"It burns: {other}.", "priority": "high"}

    await decide(handle, pending, verdict="edit", by="Ann", edit=json.dumps(edit))
    result = await runs.result_of(handle)

    row = await request_of(database, handle)
    assert (await tickets_about(database, word), await tickets_about(database, other)) == (0, 1)
    assert row.edited_arguments == edit
    assert [(call.about, call.outcome) for call in result.tool_calls] == [(f"Fire {other}", "done")]
    assert "A person changed the arguments" in (await simulator.calls(word))[-1]["body"]


async def test_a_long_edit_is_stored_and_named(client: Client, database: Database) -> None:
    word = runs.token()
    handle = await filing(client, word)
    pending = (await approval_of(handle)).waiting[0]
    edit = json.dumps({"subject": word, "description": f"{word} " + "x" * 9_900, "priority": "low"})
    async with database.statement() as connection:
        edit_id = await approvals.save_edit(connection, pending.request_id, edit + " " * 200)
        foreign = await approvals.save_edit(connection, pending.request_id + 1, edit)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decide(handle, pending, verdict="edit", by="Ann", edit_id=foreign)
    await decide(handle, pending, verdict="edit", by="Ann", edit_id=edit_id)
    await runs.result_of(handle)

    assert "There is no edit" in str(refused.value.cause)
    assert await tickets_about(database, word) == 1


async def test_an_edit_that_does_not_fit_the_tool_is_refused_and_the_call_still_waits(
    client: Client, database: Database
) -> None:
    handle = await filing(client, runs.token())
    pending = (await approval_of(handle)).waiting[0]

    refused = {
        "do not fit": '{"subject": "x"}',
        "not valid JSON": '{"subject": NaN}',
        "is not an argument": '{"subject": "x", "description": "y", "to": "z"}',
    }
    for reason, edit in refused.items():
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await decide(handle, pending, verdict="edit", by="Ann", edit=edit)
        assert reason in str(error.value.cause)

    async def written() -> bool:
        async with database.statement() as connection:
            tries = await approval_lists.decisions_on(connection, pending.request_id)
        return [one.counted for one in tries] == [False] * 3

    await runs.until(written, "the refusals are written down")
    assert (await runs.status_of(handle)).step == STEP
    await handle.terminate()
