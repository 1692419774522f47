"""Texts that steps hand on by reference: asking for one, and what history learns of it."""

from durable_agents.models.base import Record
from durable_agents.models.status import Usage

TEXT_CHARS = 20_000
"""A result tells as much of a text; the whole lies in the database."""


class WriteDraftInput(Record):
    """Let an agent work on a task, and keep its text as a draft.

    With `review_id` the agent revises what was reviewed, by the feedback that was given.
    """

    agent: str
    task_id: str
    review_id: int = 0
    user_id: str = ""


class WrittenDraft(Record):
    """A draft, the model that wrote it, and what that used."""

    draft_id: int
    model: str = ""
    usage: Usage = Usage()


class SaveDraftInput(Record):
    """A draft to be saved as what came of a task."""

    task_id: str
    draft_id: int


class SavedText(Record):
    """The text that was saved; when it is long, its beginning with a note."""

    text: str


def told(content: str) -> str:
    """As much of a text as a result tells."""
    if len(content) <= TEXT_CHARS:
        return content
    return f"{content[:TEXT_CHARS]}\n[cut: the beginning of {len(content):,} characters]"
