"""Requests for people's decisions: asked, marked, settled, withdrawn; and who tried to decide."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.approval_tables import ApprovalDecision, ApprovalRequest
from durable_agents.db.drafts import DraftRecord, get_draft, save_draft
from durable_agents.db.storable import storable, storable_json
from durable_agents.db.threads import Step
from durable_agents.models.approval import (
    DIGEST_DIGITS,
    MarkRequestInput,
    RequestApprovalInput,
    RequestedApproval,
    SettleRequestInput,
    TriedDecision,
)
from durable_agents.models.base import Record
from durable_agents.models.errors import NotFoundError

EDIT = "edit"
"""The kind of a draft that a person made of what they were asked about."""


class Subject(Record):
    """What a request is about: a text, or a call of a tool with its arguments."""

    title: str
    content: str = ""
    tool: str = ""
    arguments: dict[str, Any] | None = None
    consequences: str = ""


class OpenRequest(Record):
    """A request that waits, and the run that made it."""

    request_id: int
    workflow_id: str
    run_id: str


def canonical(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON that is the same however they were written, and after they were kept."""
    kept = json.loads(storable_json(arguments), parse_float=_as_kept)
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _as_kept(number: str) -> float | int:
    """A number as JSONB gives it back: without an exponent or a sign of zero."""
    return int(Decimal(number)) if "e+" in number else float(number) + 0.0


def digest_of(*, run_id: str, step: str, revision: int, content: str) -> str:
    """What a decision is bound to: this content, at this step of this run.

    The beginning of a SHA-256, in hexadecimal. A content that comes back unchanged in another
    revision, or in another run after a reset, is another request.
    """
    bound = json.dumps([run_id, step, revision, content])
    return hashlib.sha256(bound.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]


async def add_request(
    connection: AsyncConnection,
    asked: RequestApprovalInput,
    subject: Subject,
    *,
    workflow_id: str,
    run_id: str,
) -> RequestedApproval:
    """Ask for a decision, once for each run, step and content.

    A second delivery changes nothing, whatever has been decided since. What is asked anew after
    its escalation, because the run was reset, is for those others from the beginning.
    """
    content = subject.content
    if subject.arguments is not None:
        content = f"{subject.tool}\n{canonical(subject.arguments)}"
    content = storable(content)  # as it can be read again
    digest = digest_of(run_id=run_id, step=asked.step, revision=asked.revision, content=content)
    key = {"run_id": run_id, "step": asked.step, "digest": digest}
    given = asked.model_dump(
        include={
            *("kind", "subject", "asked_by", "for_whom", "revision"),
            *("remind_at", "escalate_at", "closes_at"),
        }
    )
    at = asked.escalate_at
    escalated = {} if at is None else {"escalated_at": case((func.now() >= at, at))}
    options = asked.options.model_dump(exclude={"remind_after_s", "escalate_after_s"})
    await connection.execute(
        insert(ApprovalRequest)
        .values(
            **key,
            **given,
            **options,
            **subject.model_dump(),
            workflow_id=workflow_id,
            previous_id=asked.previous_id or None,
            **escalated,
        )
        .on_conflict_do_nothing(index_elements=["run_id", "step", "digest"])
    )
    query = select(ApprovalRequest.request_id, ApprovalRequest.title).filter_by(**key)
    row = (await connection.execute(query)).one()
    return RequestedApproval(request_id=row.request_id, digest=digest, title=row.title)


async def mark_request(connection: AsyncConnection, marked: MarkRequestInput) -> None:
    """Note that a request was escalated, or its reviewers reminded."""
    await connection.execute(
        update(ApprovalRequest)
        .where(ApprovalRequest.request_id == marked.request_id)
        .values({f"{marked.mark}_at": marked.at})
    )


async def settle_request(connection: AsyncConnection, end: SettleRequestInput) -> None:
    """Write down how a request ended: who decided what, when and why. Needs a transaction.

    The row follows the run, which decides once; a second delivery writes the same again. What
    was decided stays so: a run that a reset put in place of another withdraws only what waits.

    Raises:
        NotFoundError: There is no such request, or no such edit of it.
    """
    edit = await edit_of(connection, end.request_id, end.edit, end.edit_id)
    ended = {"status": end.status, "decided_by": end.by, "decided_at": end.at}
    made = {"verified": end.verified, "via": end.via, "feedback": end.feedback}
    this = ApprovalRequest.request_id == end.request_id
    found = select(ApprovalRequest.kind, ApprovalRequest.status).where(this).with_for_update()
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise no_request(end.request_id)
    if end.status == "withdrawn" and row.status != "pending":
        return
    statement, kind = update(ApprovalRequest).where(this), row.kind
    await connection.execute(statement.values(**ended, **made))
    if edit and kind == "tool":
        await connection.execute(statement.values(edited_arguments=json.loads(edit)))
    elif edit:
        await connection.execute(statement.values(edited_content=edit))
    await record_tries(connection, end.request_id, end.tries)


async def record_tries(
    connection: AsyncConnection, request_id: int, tries: Sequence[TriedDecision]
) -> None:
    """Write down who tried to decide; a second delivery writes the same again."""
    for tried in tries:
        values = {**tried.model_dump(), "request_id": request_id}
        statement = insert(ApprovalDecision).values(values)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["request_id", "number"], set_=tried.model_dump(exclude={"number"})
            )
        )


async def record_refusal(
    connection: AsyncConnection,
    request_id: int,
    *,
    verdict: str,
    by: str,
    verified: bool,
    via: str,
    reason: str,
) -> None:
    """Write down a decision that never reached its run, because the sender was refused at once."""
    refused = {"verdict": verdict, "by": by, "verified": verified, "via": via, "reason": reason}
    await connection.execute(insert(ApprovalDecision).values(request_id=request_id, **refused))


async def save_edit(connection: AsyncConnection, request_id: int, text: str) -> int:
    """Keep what a person made of a content, for a decision that names it; gives its id."""
    name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return await save_draft(connection, Step(_home_of(request_id), name), kind=EDIT, content=text)


async def edit_of(connection: AsyncConnection, request_id: int, edit: str, edit_id: int) -> str:
    """The edit that a decision carries or names; empty when it has none.

    Raises:
        NotFoundError: There is no such edit of this request.
    """
    if not edit_id:
        return edit
    draft: DraftRecord = await get_draft(connection, edit_id, kind=EDIT)
    if draft.run_id != _home_of(request_id):
        raise NotFoundError(f"There is no edit {edit_id} of request {request_id}. Store it first.")
    return draft.content


async def open_requests(
    connection: AsyncConnection, *, older_than: timedelta, after: int, limit: int
) -> list[OpenRequest]:
    """Requests that nobody has decided and that were made a while ago, by their ids.

    For a reconciler, which asks Temporal about the runs. The time is that of the database's
    clock; `after` is the last id that was looked at, 0 for none.
    """
    query = (
        select(ApprovalRequest.request_id, ApprovalRequest.workflow_id, ApprovalRequest.run_id)
        .where(
            ApprovalRequest.status == "pending",
            ApprovalRequest.created_at <= func.now() - older_than,
            ApprovalRequest.request_id > after,
        )
        .order_by(ApprovalRequest.request_id)
        .limit(limit)
    )
    found = (await connection.execute(query)).mappings()
    return [OpenRequest.model_validate(dict(row)) for row in found]


async def withdraw(connection: AsyncConnection, *, request_id: int, reason: str) -> bool:
    """End a request whose run could not do so itself.

    Returns:
        Whether it was still open; another is left as it is.
    """
    withdrawn = await connection.execute(
        update(ApprovalRequest)
        .where(ApprovalRequest.request_id == request_id, ApprovalRequest.status == "pending")
        .values(status="withdrawn", feedback=reason, decided_at=func.now())
    )
    return withdrawn.rowcount == 1


def _home_of(request_id: int) -> str:
    """Where the edits of a request are kept, in the place of a run."""
    return f"request-{request_id}"


def no_request(request_id: int) -> NotFoundError:
    """Say that there is no request of this id."""
    return NotFoundError(
        f"There is no request {request_id}. `durable-agents reviews` shows those that wait."
    )
