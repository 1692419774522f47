"""The records that flows keep."""

import pytest

from activities.records import RecordActivities
from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.db.statuses import latest
from durable_agents.models.conversation import LoggedError
from durable_agents.models.errors import NotFoundError
from durable_agents.models.tracked import StatusRow
from tests.activities.performing import new_run, perform


@pytest.fixture
def records(database: Database) -> RecordActivities:
    return RecordActivities(database)


async def test_of_a_task_only_facts_are_told(records: RecordActivities) -> None:
    task = await perform(records.validate_task, "task-1", run=new_run())

    assert (task.task_id, task.user_id) == ("task-1", "user-1")
    assert task.title
    assert set(task.model_dump()) == {"task_id", "user_id", "title", "chars"}
    assert task.chars > 100


async def test_an_unknown_task_is_refused(records: RecordActivities) -> None:
    with pytest.raises(NotFoundError, match="no task no-such-task"):
        await perform(records.validate_task, "no-such-task", run=new_run())


async def test_the_row_of_a_run_keeps_pace_and_stays_closed(
    records: RecordActivities, database: Database
) -> None:
    run = new_run()

    for row in (
        StatusRow(status="running", step="init"),
        StatusRow(status="completed", step="complete"),
        StatusRow(status="running", step="step1"),
    ):
        await perform(records.save_status, row, run=run)

    async with database.statement() as connection:
        kept = await latest(connection, f"workflow-of-{run}")
    assert kept is not None
    assert (kept.run_id, kept.workflow_type) == (run, "ReActWorkflow")
    assert (kept.status, kept.step) == ("completed", "complete")


async def test_an_error_is_logged_once_for_a_step(
    records: RecordActivities, database: Database
) -> None:
    run = new_run()
    error = LoggedError(type="budget", message="Nothing is left.")

    await perform(records.log_error, error, run=run, step="log-error")
    await perform(records.log_error, error, run=run, step="log-error", attempt=2)

    async with database.statement() as connection:
        rows = await list_errors(connection, workflow_id=f"workflow-of-{run}")
    assert [(row.type, row.message, row.step) for row in rows] == [
        ("budget", "Nothing is left.", "log-error")
    ]
