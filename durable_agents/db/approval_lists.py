"""Requests as people see them: what waits for whom, one with its history, what was decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.approval_tables import ApprovalDecision, ApprovalRequest
from durable_agents.db.approvals import canonical, digest_of, no_request
from durable_agents.db.storable import storable
from durable_agents.models.approval import Kind, RequestStatus
from durable_agents.models.base import Record
from durable_agents.models.people import ADMIN, REVIEWER, Person


class RequestSummary(Record):
    """A request as a list shows it."""

    request_id: int
    workflow_id: str
    run_id: str
    step: str
    digest: str
    kind: Kind
    subject: str
    title: str
    consequences: str
    asked_by: str
    for_whom: str
    revision: int
    reviewer: str
    status: RequestStatus
    created_at: datetime
    closes_at: datetime | None
    escalated_at: datetime | None
    decided_by: str
    decided_at: datetime | None
    verified: bool


class RequestRecord(RequestSummary):
    """A request with all that a person needs to decide on it."""

    content: str
    tool: str
    arguments: dict[str, Any] | None
    previous_id: int | None
    four_eyes: bool
    verified_only: bool
    needed: int
    escalate_to: str
    default_verdict: str
    reminded_at: datetime | None
    via: str
    feedback: str
    edited_content: str | None
    edited_arguments: dict[str, Any] | None


class DecisionRecord(Record):
    """A decision that somebody tried to make."""

    verdict: str
    by: str
    verified: bool
    via: str
    counted: bool
    feedback: str
    reason: str
    at: datetime


_SUMMARY = tuple(getattr(ApprovalRequest, name) for name in RequestSummary.model_fields)
_RECORD = tuple(getattr(ApprovalRequest, name) for name in RequestRecord.model_fields)
_DECISION = tuple(getattr(ApprovalDecision, name) for name in DecisionRecord.model_fields)


def meant_for(person: Person) -> ColumnElement[bool]:
    """Which requests a person may decide on: theirs by name or role, also once escalated."""
    names = [person.name, *person.roles, *([""] if REVIEWER in person.roles else [])]
    escalated = and_(
        ApprovalRequest.escalated_at.is_not(None),
        ApprovalRequest.escalate_to != "",
        ApprovalRequest.escalate_to.in_(names),
    )
    return or_(ApprovalRequest.reviewer.in_(names), escalated)


def seen_by(person: Person) -> ColumnElement[bool]:
    """Which requests a person may see: those they may decide on or have; an admin sees all."""
    if ADMIN in person.roles:
        return ApprovalRequest.request_id.is_not(None)
    return or_(meant_for(person), ApprovalRequest.decided_by == person.name)


async def list_requests(
    connection: AsyncConnection,
    *,
    which: ColumnElement[bool] | None = None,
    status: RequestStatus | None = "pending",
    kind: Kind | None = None,
    workflow_id: str = "",
    search: str = "",
    offset: int = 0,
    limit: int = 50,
) -> list[RequestSummary]:
    """Requests: those that wait by their deadline, the others the latest first."""
    wanted = _wanted(which, status, kind, workflow_id, search)
    closes = ApprovalRequest.closes_at.asc().nulls_last()
    order = (closes, ApprovalRequest.request_id)
    if status != "pending":
        order = (ApprovalRequest.decided_at.desc().nulls_first(), ApprovalRequest.request_id.desc())
    query = select(*_SUMMARY).where(*wanted).order_by(*order).offset(offset).limit(limit)
    found = (await connection.execute(query)).mappings()
    return [RequestSummary.model_validate(dict(row)) for row in found]


async def count_requests(
    connection: AsyncConnection,
    *,
    which: ColumnElement[bool] | None = None,
    status: RequestStatus | None = "pending",
    search: str = "",
) -> int:
    """How many requests there are of some kind."""
    wanted = _wanted(which, status, None, "", search)
    return (
        await connection.scalar(select(func.count(ApprovalRequest.request_id)).where(*wanted)) or 0
    )


async def mark_of(connection: AsyncConnection, which: ColumnElement[bool]) -> str:
    """A short text that changes whenever what waits does: how many, the latest, escalations."""
    pending = case((ApprovalRequest.escalated_at.is_not(None), 1), else_=0)
    query = select(func.count(), func.max(ApprovalRequest.request_id), func.sum(pending)).where(
        which, ApprovalRequest.status == "pending"
    )
    count, latest, escalated = (await connection.execute(query)).one()
    return f"{count}-{latest or 0}-{escalated or 0}"


async def get_request(
    connection: AsyncConnection, request_id: int, *, which: ColumnElement[bool] | None = None
) -> RequestRecord:
    """Read a request.

    Raises:
        NotFoundError: There is none of this id, among `which`.
    """
    query = select(*_RECORD).where(ApprovalRequest.request_id == request_id)
    if which is not None:
        query = query.where(which)
    found = await _one(connection, query)
    if found is None:
        raise no_request(request_id)
    return RequestRecord.model_validate(dict(found))


async def find_by_digest(
    connection: AsyncConnection, *, workflow_id: str, digest: str
) -> RequestRecord | None:
    """The request of a run that has this digest."""
    query = select(*_RECORD).filter_by(workflow_id=workflow_id, digest=digest)
    found = await _one(connection, query)
    return None if found is None else RequestRecord.model_validate(dict(found))


def digest_held(request: RequestRecord) -> str:
    """The digest of what the row holds now; another one than its own was changed since."""
    content = request.content
    if request.arguments is not None:
        content = f"{request.tool}\n{canonical(request.arguments)}"
    return digest_of(
        run_id=request.run_id, step=request.step, revision=request.revision, content=content
    )


async def decisions_on(connection: AsyncConnection, request_id: int) -> list[DecisionRecord]:
    """Who tried to decide on a request, the first first."""
    query = select(*_DECISION).where(ApprovalDecision.request_id == request_id)
    found = (await connection.execute(query.order_by(ApprovalDecision.decision_id))).mappings()
    return [DecisionRecord.model_validate(dict(row)) for row in found]


async def decided_before(
    connection: AsyncConnection, request: RequestRecord
) -> RequestRecord | None:
    """The latest decision of a person on the same content, at the same step of the same workflow.

    After a reset, what was decided before is found by it.
    """
    same = (
        ApprovalRequest.request_id != request.request_id,
        ApprovalRequest.workflow_id == request.workflow_id,
        ApprovalRequest.step == request.step,
        ApprovalRequest.kind == request.kind,
        ApprovalRequest.content == request.content,
        ApprovalRequest.tool == request.tool,
        ApprovalRequest.arguments.is_not_distinct_from(request.arguments),
        ApprovalRequest.status.in_(["approved", "rejected"]),
        ApprovalRequest.decided_by != "",
    )
    query = select(*_RECORD).where(*same).order_by(ApprovalRequest.decided_at.desc()).limit(1)
    found = await _one(connection, query)
    return None if found is None else RequestRecord.model_validate(dict(found))


def _wanted(
    which: ColumnElement[bool] | None,
    status: RequestStatus | None,
    kind: Kind | None,
    workflow_id: str,
    search: str,
) -> Sequence[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [] if which is None else [which]
    if status is not None:
        wanted.append(ApprovalRequest.status == status)
    if kind is not None:
        wanted.append(ApprovalRequest.kind == kind)
    if workflow_id:
        wanted.append(ApprovalRequest.workflow_id == workflow_id)
    if search:
        texts = (ApprovalRequest.title, ApprovalRequest.subject, ApprovalRequest.workflow_id)
        people = (ApprovalRequest.asked_by, ApprovalRequest.for_whom)
        word = storable(search)
        wanted.append(or_(*(text.icontains(word, autoescape=True) for text in (*texts, *people))))
    return wanted


async def _one(connection: AsyncConnection, query: Select[*tuple[Any, ...]]) -> RowMapping | None:
    return (await connection.execute(query.limit(1))).mappings().one_or_none()
