"""Touches the requests for people's decisions: asks, checks who decides, writes it down."""

import json
import math
from contextlib import suppress
from typing import NoReturn

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.call_site import step_of
from durable_agents.agent.tool import Tool
from durable_agents.agent.toolbox import digest, parse_arguments
from durable_agents.agent.tools import TOOLS
from durable_agents.clients.signatures import is_signed
from durable_agents.db import approvals, drafts, tasks
from durable_agents.db.approval_lists import RequestRecord, get_request
from durable_agents.db.approvals import Subject
from durable_agents.db.engine import Database
from durable_agents.db.people import COLUMNS, person_of
from durable_agents.db.people_tables import User
from durable_agents.db.threads import find_message
from durable_agents.models.approval import (
    MAX_STORED_EDIT_CHARS,
    NOT_BY_NOBODY,
    CheckDecisionInput,
    Decision,
    DecisionCheck,
    MarkRequestInput,
    RecordTriesInput,
    RequestApprovalInput,
    RequestedApproval,
    SettleRequestInput,
)
from durable_agents.models.errors import (
    InputError,
    NotFoundError,
    ToolArgumentsError,
    UnknownToolError,
)
from durable_agents.models.people import Person

NO_KEY = "Signatures cannot be checked here: SIGNING_KEY is not set for the workers."
FORGED = "Its signature is not ours, or belongs to another decision."
FOR_OTHERS = "It is for {0} to decide, and {1} is not known as such."
UNKNOWN = "Nobody of the name {0} may sign in any more."
EMPTY_EDIT = "The edited text is empty. To turn it down, reject it."
RUNS_ONCE = "The tool {0} runs once with these arguments."


class ApprovalActivities:
    """Requests for decisions; each activity closes within 5 s and may be delivered twice.

    Args:
        database: Where the requests are.
        signing_key: What signs decisions; without one none is verified.
        inbox_url: Where people reach the page, for links; empty where there is none.
    """

    def __init__(self, database: Database, *, signing_key: str = "", inbox_url: str = "") -> None:
        self._database = database
        self._signing_key = signing_key
        self._inbox_url = inbox_url.rstrip("/")

    @activity.defn(name="request_approval")
    async def request_approval(self, asked: RequestApprovalInput) -> RequestedApproval:
        """Ask for a person's decision on a draft, or on a call of a tool.

        Raises:
            InputError: The options contradict each other.
            NotFoundError: There is no such draft or call.
            ToolArgumentsError: The arguments of the call do not fit the tool.
        """
        if asked.options.approves_unseen:
            raise InputError(NOT_BY_NOBODY)
        async with self._database.transaction() as connection:
            subject = await _subject_of(connection, asked)
            requested = await approvals.add_request(
                connection,
                asked,
                subject,
                workflow_id=activity.info().workflow_id or "",
                run_id=step_of().run_id,
            )
        if not self._inbox_url:
            return requested
        link = f"{self._inbox_url}/requests/{requested.request_id}"
        return requested.model_copy(update={"link": link})

    @activity.defn(name="check_decision")
    async def check_decision(self, asked: CheckDecisionInput) -> DecisionCheck:
        """Find out whether a decision is verified, and whether who made it may decide.

        Reads only: what counts is for the run to say.
        """
        decision = asked.decision
        async with self._database.statement() as connection:
            request = await get_request(connection, asked.request_id)
            try:
                edit = await approvals.edit_of(
                    connection, request.request_id, decision.edit, decision.edit_id
                )
            except NotFoundError as error:
                return DecisionCheck(reason=error.message)
            reason = self._against_signature(request, decision, edit)
            verified = bool(decision.signature) and not reason
            reason = reason or await _against_person(
                connection, request, decision, verified=verified, escalated=asked.escalated
            )
        if reason:
            return DecisionCheck(verified=verified, reason=reason)
        found = _checked_edit(request, edit) if decision.verdict == "edit" else DecisionCheck()
        return found.model_copy(update={"verified": verified})

    def _against_signature(self, request: RequestRecord, decision: Decision, edit: str) -> str:
        """Why a signature is not to be taken; empty for a good one, and for none."""
        if not decision.signature:
            return ""
        if not self._signing_key:
            return NO_KEY
        workflow_id, run_id = request.workflow_id, request.run_id
        good = is_signed(
            self._signing_key, decision, workflow_id=workflow_id, run_id=run_id, edit=edit
        )
        return "" if good else FORGED

    @activity.defn(name="record_decisions")
    async def record_decisions(self, asked: RecordTriesInput) -> None:
        """Write down who tried to decide on a request, and what became of it."""
        async with self._database.transaction() as connection:
            await approvals.record_tries(connection, asked.request_id, asked.tries)

    @activity.defn(name="mark_request")
    async def mark_request(self, marked: MarkRequestInput) -> None:
        """Note that a request was escalated, or its reviewers reminded."""
        async with self._database.statement() as connection:
            await approvals.mark_request(connection, marked)

    @activity.defn(name="settle_request")
    async def settle_request(self, end: SettleRequestInput) -> None:
        """Write down how a request ended.

        Raises:
            NotFoundError: There is no such request.
        """
        async with self._database.transaction() as connection:
            await approvals.settle_request(connection, end)


async def _subject_of(connection: AsyncConnection, asked: RequestApprovalInput) -> Subject:
    """What a request is about, read where it lies."""
    if asked.kind == "tool":
        return await _call_of(connection, asked)
    draft = await drafts.get_draft(connection, asked.draft_id)
    title = asked.subject
    with suppress(NotFoundError):  # what is reviewed need not be a task
        title = (await tasks.get_task(connection, asked.subject)).title[: tasks.TITLE_CHARS]
    return Subject(title=title, content=draft.content, consequences=asked.consequences)


async def _call_of(connection: AsyncConnection, asked: RequestApprovalInput) -> Subject:
    message = await find_message(connection, asked.message)
    if not message.tool_calls or asked.index >= len(message.tool_calls):
        raise NotFoundError(f"Message {asked.message} has no tool call {asked.index}.")
    call = message.tool_calls[asked.index]
    tool = _tool(str(call["name"]))
    arguments = parse_arguments(tool, str(call["arguments"]))
    about = tool.about(arguments)
    return Subject(
        title=f"{tool.name}: {about}" if about else tool.name,
        tool=tool.name,
        arguments=arguments.model_dump(mode="json"),
        consequences=asked.consequences or tool.consequences or RUNS_ONCE.format(tool.name),
    )


async def _against_person(
    connection: AsyncConnection,
    request: RequestRecord,
    decision: Decision,
    *,
    verified: bool,
    escalated: bool,
) -> str:
    """Why a person may not decide on a request; empty when they may.

    A bare name is taken at its word, and the decision is marked as unverified: that of somebody
    we know may decide what they may, one that nobody has only what anybody may.
    """
    person = await _find_person(connection, decision.by)
    if verified and (person is None or person.disabled):
        return UNKNOWN.format(decision.by)
    whom = [request.reviewer, *([request.escalate_to] if escalated else [])]
    if person is not None and not person.disabled:
        may = any(person.is_meant_by(one) for one in whom)
    else:
        may = any(one in {"", decision.by} for one in whom) and person is None
    named = " or ".join(one or "a reviewer" for one in whom)
    return "" if may else FOR_OTHERS.format(named, decision.by or "somebody without a name")


async def _find_person(connection: AsyncConnection, name: str) -> Person | None:
    query = select(*COLUMNS).where(User.name == name.strip().lower())
    row = (await connection.execute(query)).mappings().one_or_none()
    return person_of(row) if row is not None else None


def _checked_edit(request: RequestRecord, edit: str) -> DecisionCheck:
    """Whether an edit can stand in the place of what was asked about."""
    if len(edit) > MAX_STORED_EDIT_CHARS:
        return DecisionCheck(reason=f"An edit may be {MAX_STORED_EDIT_CHARS:,} characters long.")
    if request.kind == "review":
        return DecisionCheck(reason="" if edit.strip() else EMPTY_EDIT)
    tool = _tool(request.tool)
    try:
        json.loads(edit, parse_constant=_refuse, parse_float=_finite)
        arguments = parse_arguments(tool, edit)
    except (ValueError, RecursionError):
        return DecisionCheck(reason=f"The edited arguments of {tool.name} are not valid JSON.")
    except ToolArgumentsError as error:
        return DecisionCheck(reason=error.message)
    return DecisionCheck(edit_digest=digest(arguments), about=tool.about(arguments)[:40])


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python's parser takes for JSON, and a database does not: NaN and Infinity."""
    raise ValueError(constant)


def _finite(number: str) -> float:
    """Refuse a number that is too large to be one: it would be stored as none."""
    if not math.isfinite(float(number)):
        raise ValueError(number)
    return float(number)


def _tool(name: str) -> Tool:
    tool = TOOLS.get(name)
    if tool is None:
        raise UnknownToolError(f"There is no tool {name} in this release any more.")
    return tool
