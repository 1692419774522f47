"""Requests in memory, for pages that are looked at without any run behind them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from durable_agents.models.people import Person
from inbox.requests import (
    Answer,
    RequestLine,
    RequestPage,
    ShownRequest,
    Submission,
)

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)


def a_request(request_id: int = 1, **values: Any) -> ShownRequest:
    """A request with what it needs, and what a test gives it."""
    given = {
        "request_id": request_id,
        "title": f"Text {request_id}",
        "workflow_id": "review-1",
        "digest": f"digest-{request_id}",
        "content": "A text.",
        "created_at": AT,
    }
    return ShownRequest.model_validate({**given, **values})


class FakeStore:
    """Keeps requests, and the decisions that pages hand over."""

    def __init__(self, *requests: ShownRequest) -> None:
        self.requests = {request.request_id: request for request in requests}
        self.made: list[tuple[str, Submission]] = []
        self.answer = Answer(counted=True)

    async def waiting(
        self, person: Person, *, search: str = "", offset: int = 0, limit: int = 50
    ) -> RequestPage:
        """Those that are pending and whose title has the words."""
        found = [
            RequestLine.model_validate(one.model_dump())
            for one in self._seen_by(person)
            if one.status == "pending" and search.lower() in one.title.lower()
        ]
        return RequestPage(lines=tuple(found[offset : offset + limit]), total=len(found))

    async def mark(self, person: Person) -> str:
        """Ids and states."""
        return "-".join(f"{one.request_id}{one.status}" for one in self._seen_by(person))

    async def find(self, person: Person, request_id: int) -> ShownRequest | None:
        """One, for those who may see it."""
        found = [one for one in self._seen_by(person) if one.request_id == request_id]
        return found[0] if found else None

    async def decided(self, person: Person, *, limit: int = 100) -> Sequence[RequestLine]:
        """Those that are not pending."""
        return [one for one in self._seen_by(person) if one.status != "pending"][:limit]

    async def decide(self, person: Person, request: ShownRequest, made: Submission) -> Answer:
        """Note it."""
        self.made.append((person.name, made))
        return self.answer

    def _seen_by(self, person: Person) -> list[ShownRequest]:
        return [one for one in self.requests.values() if person.is_meant_by(one.reviewer)]
