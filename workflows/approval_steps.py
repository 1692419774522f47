"""The steps of asking people: request, check, write down, settle, tell."""

from datetime import timedelta
from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities
    from durable_agents.models.approval import (
        CheckDecisionInput,
        DecisionCheck,
        MarkRequestInput,
        RecordTriesInput,
        RequestedApproval,
        SettleRequestInput,
    )
    from workflows import policies
    from workflows.decisions import Given, Wait
    from workflows.notifying import notify

TELL_WITHIN = timedelta(minutes=2)
TITLES = {"new": "A request", "reminder": "A reminder", "escalated": "An escalated request"}

Word = Literal["new", "reminder", "escalated"]


async def request(wait: Wait) -> RequestedApproval:
    """Ask for a decision."""
    return await workflow.execute_activity_method(
        ApprovalActivities.request_approval,
        wait.asked,
        activity_id=f"request-{wait.place}",
        start_to_close_timeout=policies.DATABASE_TIMEOUT,
        heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
        retry_policy=policies.DATABASE,
        summary=f"request a decision: {wait.asked.step}"[:200],
    )


async def check(wait: Wait, one: Given) -> DecisionCheck:
    """Find out whether a decision is verified, and whether who made it may decide."""
    return await workflow.execute_local_activity_method(
        ApprovalActivities.check_decision,
        CheckDecisionInput(
            request_id=wait.pending.request_id, decision=one.decision, escalated=wait.escalated
        ),
        activity_id=f"check-{wait.place}-{wait.tried + 1}",
        start_to_close_timeout=policies.DATABASE_TIMEOUT,
        retry_policy=policies.DATABASE,
        summary=f"check a decision on {wait.asked.step}"[:200],
    )


async def record(wait: Wait) -> None:
    """Write down who tried to decide."""
    tries = wait.to_write()
    await workflow.execute_local_activity_method(
        ApprovalActivities.record_decisions,
        RecordTriesInput(request_id=wait.pending.request_id, tries=tries),
        activity_id=f"record-{wait.place}-{tries[-1].number}",
        start_to_close_timeout=policies.DATABASE_TIMEOUT,
        retry_policy=policies.OUTLASTING,
        summary=f"write down who tried to decide on {wait.asked.step}"[:200],
    )


async def settle(wait: Wait, end: SettleRequestInput) -> None:
    """Write down how a request ended.

    What a person decided has to be written down; that a run ended first the reconciler can say.
    """
    withdrawn = end.status == "withdrawn"
    await workflow.execute_activity_method(
        ApprovalActivities.settle_request,
        end.model_copy(update={"tries": wait.to_write()}),
        activity_id=f"settle-{wait.place}",
        start_to_close_timeout=policies.DATABASE_TIMEOUT,
        heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
        retry_policy=policies.DATABASE if withdrawn else policies.OUTLASTING,
        summary=f"{wait.asked.step}: {end.status} {end.by}".rstrip()[:200],
    )


async def mark(wait: Wait, marked: MarkRequestInput) -> None:
    """Note that a request was escalated, or its reviewers reminded."""
    await workflow.execute_activity_method(
        ApprovalActivities.mark_request,
        marked,
        activity_id=f"mark-{marked.mark}-{wait.place}",
        start_to_close_timeout=policies.DATABASE_TIMEOUT,
        heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
        retry_policy=policies.OUTLASTING,
        summary=f"{wait.asked.step}: {marked.mark}"[:200],
    )


async def tell(wait: Wait, word: Word, whom: str) -> None:
    """Notify the people who may decide, once for each request; a failure is not told twice."""
    requested, asked = wait.requested, wait.asked
    lines = (
        f"{asked.asked_by or 'Somebody'} asks for a decision on {requested.title}.",
        asked.consequences,
        f"It closes at {asked.closes_at:%Y-%m-%d %H:%M} UTC." if asked.closes_at else "",
        requested.link or f"`durable-agents decide {requested.request_id}` shows it.",
    )
    await notify(
        whom,
        f"{TITLES[word]}: {requested.title}",
        "\n".join(line for line in lines if line),
        step=f"tell-{word}-{wait.place}",
        key=f"{requested.request_id}:{requested.digest}:{word}",
        within=TELL_WITHIN,
    )
