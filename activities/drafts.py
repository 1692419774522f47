"""Touches the model and the drafts: texts of agents, kept in the database and named by id."""

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.call_site import call_site, step_of
from activities.thinking import spoken
from durable_agents.agent.asking import Asker
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.question import Question
from durable_agents.agent.toolbox import fenced
from durable_agents.db import drafts, tasks
from durable_agents.db.approval_lists import get_request
from durable_agents.db.engine import Database
from durable_agents.db.tasks import TaskRecord
from durable_agents.db.threads import Step
from durable_agents.db.usage import model_of_step, record_calls, usage_of_step
from durable_agents.models.drafts import (
    SaveDraftInput,
    SavedText,
    WriteDraftInput,
    WrittenDraft,
    told,
)

EMPTY = "Your answer was empty. Try again: answer the task in words."
FENCE_CHARS = 200  # what a fence and its note take, at most


class DraftActivities:
    """Let an agent write a draft; save one. Harmless when delivered twice."""

    def __init__(self, asker: Asker, database: Database) -> None:
        self._asker = asker
        self._database = database

    @activity.defn(name="write_task_draft")
    async def write_task_draft(self, request: WriteDraftInput) -> WrittenDraft:
        """Let an agent work on a task, or revise what was reviewed, and keep its text.

        Raises:
            UnknownAgentError: No agent of this name is in the catalogue.
            NotFoundError: The task or the review is not there.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            ModelOutputError: The model keeps answering nothing.
        """
        agent, site, step = get_agent(request.agent), call_site(request.user_id), step_of()
        if site.attempt > 1:
            async with self._database.statement() as connection:
                before = await drafts.find_draft(connection, step)
                if before is not None:
                    return await _written(connection, step, before.draft_id)
        messages = [
            {"role": "system", "content": agent.instructions},
            {"role": "user", "content": await self._prompt(request, agent.limits.context_chars)},
        ]
        question = Question(messages, lambda answer: "" if spoken(answer).strip() else EMPTY)
        asked = await self._asker.ask(agent, question, site)
        text = spoken(asked.answer).strip()
        async with self._database.transaction() as connection:
            usage = await record_calls(connection, asked.records)
            draft_id = await drafts.save_draft(connection, step, kind=agent.name, content=text)
        return WrittenDraft(draft_id=draft_id, model=asked.answer.model, usage=usage)

    async def _prompt(self, request: WriteDraftInput, limit: int) -> str:
        async with self._database.statement() as connection:
            task = await tasks.get_task(connection, request.task_id)
            if not request.review_id:
                return task_prompt(task, limit=limit)
            reviewed = await get_request(connection, request.review_id)
        return revision_prompt(task, reviewed.content, reviewed.feedback, limit=limit)

    @activity.defn(name="save_draft")
    async def save_draft(self, request: SaveDraftInput) -> SavedText:
        """Save a draft as what came of a task.

        Raises:
            NotFoundError: The draft or the task is not there.
        """
        async with self._database.transaction() as connection:
            draft = await drafts.get_draft(connection, request.draft_id)
            await tasks.save_result(connection, task_id=request.task_id, result=draft.content)
        return SavedText(text=told(draft.content))


async def _written(connection: AsyncConnection, step: Step, draft_id: int) -> WrittenDraft:
    """What an earlier attempt has written, with what all attempts used."""
    return WrittenDraft(
        draft_id=draft_id,
        model=await model_of_step(connection, step),
        usage=await usage_of_step(connection, step),
    )


def task_prompt(task: TaskRecord, *, limit: int) -> str:
    """What an agent is asked that works on a task, which stands inside a fence.

    Users of the team's application write tasks. Of a very long one the beginning stands there.
    """
    return fenced("task", f"{task.title}\n\n{task.body}", limit=limit)


def revision_prompt(task: TaskRecord, draft: str, feedback: str, *, limit: int) -> str:
    """What an agent is asked that revises a draft; task, draft and feedback stand inside fences.

    The feedback is short enough to stand there whole; of a very long task or draft the beginning
    does.
    """
    wanted = task_prompt(task, limit=limit // 4)
    asked = f"Revise the draft so that it takes up the feedback.\n\nTask:\n{wanted}"
    said = fenced("feedback", feedback, limit=len(feedback) * 4 + FENCE_CHARS)  # &lt; for <
    room = max(limit - len(asked) - len(said), limit // 2)
    return f"{asked}\n\n{fenced('draft', draft, limit=room)}\n\n{said}"
