"""F4 when its deadline passes at the end: what is saved stands. With fake steps."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from durable_agents.models import queues
from durable_agents.models.drafts import SaveDraftInput, SavedText, WriteDraftInput, WrittenDraft
from durable_agents.models.notifications import NotifyInput, NotifyOutcome
from durable_agents.models.process_task import TaskInput, TaskResult, UserTask
from durable_agents.models.tracked import TaskFacts
from tests.workflows import runs
from workflows.process_task import TaskWorkflow

DEADLINE_S = 5  # on a busy machine it takes seconds to come to saving
TO_TELL_S = 0.6  # less than the second that telling is given, so that the deadline comes first

Handle = WorkflowHandle[Any, Any]


@dataclass
class FakeSteps:
    """Saves when it is told to, and notifies nobody in any time.

    Attributes:
        client: Whom to ask when the run began.
        save: Set when saving may end.
        saved: Whether it has.
        telling: Set when notifying began.
    """

    client: Client
    save: asyncio.Event = field(default_factory=asyncio.Event)
    saved: bool = False
    telling: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn(name="validate_user_task")
    async def validate_user_task(self, asked: UserTask) -> TaskFacts:
        return TaskFacts(task_id=asked.task_id, user_id=asked.user_id, title="T")

    @activity.defn(name="write_task_draft")
    async def write_task_draft(self, request: WriteDraftInput) -> WrittenDraft:
        return WrittenDraft(draft_id=1, model="m")

    @activity.defn(name="save_draft")
    async def save_draft(self, request: SaveDraftInput) -> SavedText:
        while not self.save.is_set():
            activity.heartbeat()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.save.wait(), 1)
        self.saved = True
        return SavedText(text="Done.")

    @activity.defn(name="notify")
    async def notify(self, request: NotifyInput) -> NotifyOutcome:
        self.telling.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator["FakeSteps"]:
        """Run workers of the workflow with these steps."""
        here = [self.validate_user_task, self.save_draft]
        model, tell = [self.write_task_draft], [self.notify]
        async with (
            Worker(
                self.client,
                task_queue=queues.WORKFLOWS,
                workflows=[TaskWorkflow],
                activities=here,
            ),
            Worker(self.client, task_queue=queues.LLM, activities=model),
            Worker(self.client, task_queue=queues.TOOLS, activities=tell),
        ):
            yield self


async def start(client: Client) -> Handle:
    request = TaskInput(user_id="u-1", task_id="t-1", deadline_s=DEADLINE_S)
    return await runs.start(client, "TaskWorkflow", request, result_type=TaskResult)


async def until_deadline(handle: Handle) -> None:
    async def passed() -> bool:
        return await runs.count_of(handle, EventType.EVENT_TYPE_TIMER_FIRED) > 0

    await runs.until(passed, "the deadline")


async def assert_completed(handle: Handle, result: TaskResult) -> None:
    status = await runs.status_of(handle)
    assert (status.state, status.error) == ("completed", "")
    assert (result.result, result.model) == ("Done.", "m")


async def test_a_deadline_that_passes_while_the_user_is_told_leaves_the_result(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    async with FakeSteps(client).at_work() as steps:
        handle = await start(client)
        await runs.until_step(handle, "save results")
        begun = (await handle.describe()).start_time
        passed = (await time_skipping.get_current_time(handle) - begun).total_seconds()
        await asyncio.sleep(max(DEADLINE_S - TO_TELL_S - passed, 0))
        steps.save.set()
        result = await runs.result_of(handle)
        await assert_completed(handle, result)

    assert result.notification in {"uncertain", "failed"}  # on a busy machine it never began
    assert result.notification_error


async def test_a_deadline_that_passes_while_the_result_is_saved_leaves_it_and_tells_nobody(
    time_skipping: WorkflowEnvironment,
) -> None:
    client = time_skipping.client
    async with FakeSteps(client).at_work() as steps:
        handle = await start(client)
        await until_deadline(handle)
        assert not steps.saved
        steps.save.set()
        result = await runs.result_of(handle)
        await assert_completed(handle, result)

    assert not steps.telling.is_set()
    assert result.notification == "failed"
    assert "deadline of the run passed" in result.notification_error
