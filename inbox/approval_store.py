"""Requests as the database has them, and decisions as their runs take them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.clients.signatures import signature_of
from durable_agents.db import approval_lists
from durable_agents.db.approval_tables import ApprovalRequest
from durable_agents.db.approvals import canonical, record_refusal, save_edit
from durable_agents.db.engine import Database
from durable_agents.models.approval import MAX_EDIT_CHARS, Decision, TakenDecision
from durable_agents.models.errors import NotFoundError, ServiceUnavailableError
from durable_agents.models.people import Person
from inbox.requests import Answer, RequestLine, RequestPage, ShownRequest, Submission

ANSWER_S = 10
VIA = "page"
NOBODY = (
    "No worker answers just now. Your decision may arrive or not: look at this page again in a "
    "minute, and repeat it if it still waits."
)
OVER = "Its run has ended and takes no decision any more."
CHANGED = (
    "What is shown here is not what the run has asked about: it was changed in the database since. "
    "Nothing was decided; tell whoever runs this service."
)


class ApprovalStore:
    """The requests that wait for people, and those that have ended.

    Args:
        database: Where they are.
        client: How decisions reach their runs.
        key: What signs decisions, so that a run knows that somebody signed in to make them.
    """

    def __init__(self, database: Database, client: Client, key: str) -> None:
        self._database = database
        self._client = client
        self._key = key

    async def waiting(
        self, person: Person, *, search: str = "", offset: int = 0, limit: int = 50
    ) -> RequestPage:
        """What waits for a person; what closes first comes first."""
        which = approval_lists.meant_for(person)
        async with self._database.statement() as connection:
            found = await approval_lists.list_requests(
                connection, which=which, search=search, offset=offset, limit=limit
            )
            total = await approval_lists.count_requests(connection, which=which, search=search)
        return RequestPage(lines=tuple(map(_line_of, found)), total=total)

    async def mark(self, person: Person) -> str:
        """A short text that changes whenever what waits for a person does."""
        async with self._database.statement() as connection:
            return await approval_lists.mark_of(connection, approval_lists.meant_for(person))

    async def find(self, person: Person, request_id: int) -> ShownRequest | None:
        """One request with the revision before it and what was tried on it."""
        async with self._database.statement() as connection:
            try:
                found = await approval_lists.get_request(
                    connection, request_id, which=approval_lists.seen_by(person)
                )
            except NotFoundError:
                return None
            before = await _before(connection, found.previous_id)
            tries = await approval_lists.decisions_on(connection, request_id)
        values = {**found.model_dump(), **before, "arguments": found.arguments or {}}
        values["decisions"] = [one.model_dump() for one in tries]
        return ShownRequest.model_validate(values)

    async def decided(self, person: Person, *, limit: int = 100) -> Sequence[RequestLine]:
        """What has ended and was for this person, the latest first."""
        async with self._database.statement() as connection:
            found = await approval_lists.list_requests(
                connection,
                which=approval_lists.seen_by(person) & (ApprovalRequest.status != "pending"),
                status=None,
                limit=limit,
            )
        return [_line_of(one) for one in found]

    async def decide(self, person: Person, request: ShownRequest, made: Submission) -> Answer:
        """Send a decision to its run, signed; what the run refuses at once is written down.

        Raises:
            ServiceUnavailableError: Nobody answers.
        """
        answer = Answer(counted=False, sentence=CHANGED)
        if await self._is_as_asked(request):
            answer = await self._send(request, await self._signed(person, request, made))
        if not answer.counted and not answer.written_down:
            async with self._database.statement() as connection:
                await record_refusal(
                    connection,
                    request.request_id,
                    verdict=made.verdict,
                    by=person.name,
                    verified=True,
                    via=VIA,
                    reason=answer.sentence,
                )
        return answer

    async def _is_as_asked(self, request: ShownRequest) -> bool:
        """Whether the content that was shown is the one that the run has asked about."""
        async with self._database.statement() as connection:
            found = await approval_lists.get_request(connection, request.request_id)
        arguments = found.arguments or {}
        same = (found.content, arguments) == (request.content, request.arguments)
        return same and approval_lists.digest_held(found) == request.digest

    async def _signed(self, person: Person, request: ShownRequest, made: Submission) -> Decision:
        edit = made.content or ""
        if made.arguments is not None:
            edit = canonical(made.arguments)
        decision = Decision(
            verdict=made.verdict,
            digest=made.digest,
            by=person.name,
            feedback=made.feedback,
            via=VIA,
        )
        signature = signature_of(
            self._key,
            decision,
            workflow_id=request.workflow_id,
            run_id=request.run_id,
            edit=edit,
        )
        carried: dict[str, Any] = {"signature": signature, "edit": edit}
        if len(edit) > MAX_EDIT_CHARS:  # history holds a reference to what is long
            async with self._database.statement() as connection:
                number = await save_edit(connection, request.request_id, edit)
            carried = {"signature": signature, "edit_id": number}
        return decision.model_copy(update=carried)

    async def _send(self, request: ShownRequest, decision: Decision) -> Answer:
        handle = self._client.get_workflow_handle(request.workflow_id)
        try:
            async with asyncio.timeout(ANSWER_S):
                await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] - the SDK's type
                    "submit_decision", decision, result_type=TakenDecision
                )
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if not isinstance(cause, ApplicationError):
                return Answer(counted=False, sentence=str(error))
            kept = bool(cause.details)  # of what reached the run, the run keeps the record
            return Answer(counted=False, sentence=cause.message, written_down=kept)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise ServiceUnavailableError(NOBODY) from error
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return Answer(counted=False, sentence=OVER)
            raise ServiceUnavailableError(NOBODY) from error
        return Answer(counted=True)


def _line_of(found: BaseModel) -> RequestLine:
    return RequestLine.model_validate(found.model_dump())


async def _before(connection: AsyncConnection, previous_id: int | None) -> dict[str, Any]:
    """What the revision before was, and what was asked to be changed in it."""
    if previous_id is None:
        return {}
    try:
        found = await approval_lists.get_request(connection, previous_id)
    except NotFoundError:
        return {}
    return {
        "previous_revision": found.revision,
        "previous_content": found.content,
        "previous_feedback": found.feedback,
    }
