"""Touches the tasks: saves the text that a person has approved."""

from temporalio import activity

from durable_agents.db import tasks
from durable_agents.db.approval_lists import get_request
from durable_agents.db.engine import Database
from durable_agents.models.drafts import SavedText, told
from durable_agents.models.errors import InputError
from durable_agents.models.review import SaveApprovedInput


class ReviewActivities:
    """A mutation; it closes within 5 s and is harmless when delivered twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="save_approved")
    async def save_approved(self, approved: SaveApprovedInput) -> SavedText:
        """Save an approved text as what came of its task: as it was, or as a person edited it.

        Raises:
            InputError: The request was not approved.
            NotFoundError: The request or the task is not there.
        """
        async with self._database.transaction() as connection:
            request = await get_request(connection, approved.request_id)
            if request.status != "approved":
                raise InputError(f"Request {request.request_id} is {request.status}, not approved.")
            edited = request.edited_content
            text = request.content if edited is None else edited
            await tasks.save_result(connection, task_id=approved.task_id, result=text)
        return SavedText(text=told(text))
