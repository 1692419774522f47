"""What the page shows and sends, and where it has it from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from durable_agents.models.base import Record
from durable_agents.models.people import Person

Kind = Literal["review", "tool"]
Status = Literal["pending", "approved", "rejected", "expired", "withdrawn"]


class RequestLine(Record):
    """A request as a list shows it."""

    request_id: int
    kind: Kind = "review"
    title: str
    subject: str = ""
    consequences: str = ""
    asked_by: str = ""
    reviewer: str = ""
    revision: int = 1
    status: Status = "pending"
    created_at: datetime
    closes_at: datetime | None = None
    escalated_at: datetime | None = None
    decided_by: str = ""
    decided_at: datetime | None = None


class TriedDecision(Record):
    """A decision that somebody tried to make; `reason` says why it did not count."""

    verdict: str
    by: str
    at: datetime
    verified: bool = False
    via: str = ""
    counted: bool = True
    feedback: str = ""
    reason: str = ""


class ShownRequest(RequestLine):
    """A request with all that a person needs to decide on it.

    `content` is Markdown (of a review), `tool` and `arguments` are those of a call. The content
    and the feedback of the revision before are there where there was one.
    """

    workflow_id: str
    run_id: str = ""
    digest: str
    for_whom: str = ""
    content: str = ""
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    previous_revision: int = 0
    previous_content: str = ""
    previous_feedback: str = ""
    four_eyes: bool = False
    verified_only: bool = False
    needed: int = 1
    default_verdict: str = ""
    editable: bool = True
    verified: bool = False
    via: str = ""
    feedback: str = ""
    decisions: tuple[TriedDecision, ...] = ()


class Submission(Record):
    """What somebody decided on the page.

    An edit carries the new content of a review, or the new arguments of a call.
    """

    verdict: Literal["approve", "reject", "edit"]
    digest: str
    feedback: str = ""
    content: str | None = None
    arguments: dict[str, Any] | None = None


class Answer(Record):
    """What became of a decision: whether it counts, and a sentence about it.

    `written_down` says that whoever refused it has kept a record of it.
    """

    counted: bool
    sentence: str = ""
    written_down: bool = False


class RequestPage(Record):
    """Some requests, and how many there are in all."""

    lines: tuple[RequestLine, ...] = ()
    total: int = 0


class RequestStore(Protocol):
    """Where requests are. Each person is given only those that are for them."""

    async def waiting(
        self, person: Person, *, search: str = "", offset: int = 0, limit: int = 50
    ) -> RequestPage:
        """What waits for a person, the most urgent first."""
        ...

    async def mark(self, person: Person) -> str:
        """A short text that changes whenever what waits for a person does."""
        ...

    async def find(self, person: Person, request_id: int) -> ShownRequest | None:
        """One request; None where there is none that this person may see."""
        ...

    async def decided(self, person: Person, *, limit: int = 100) -> Sequence[RequestLine]:
        """What was decided, or ended otherwise, the latest first."""
        ...

    async def decide(self, person: Person, request: ShownRequest, made: Submission) -> Answer:
        """Hand a decision to the run that waits for it."""
        ...
