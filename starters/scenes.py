"""What the demonstration plays: the flows, each on sample data."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from temporalio.client import (
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.service import RPCError

from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult
from durable_agents.models.approval import ApprovalState, Decision, Verdict
from durable_agents.models.debug import DebugInput, DebugResult
from durable_agents.models.external_call import ExternalCallInput, ExternalCallResult
from durable_agents.models.order import OrderInput, OrderResult
from durable_agents.models.process_documents import DocumentBatchInput, DocumentBatchResult
from durable_agents.models.process_task import TaskInput, TaskResult
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.models.research import ResearchInput, ResearchResult
from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
from durable_agents.models.review import ReviewInput, ReviewResult
from durable_agents.models.route import RoutingInput, RoutingResult
from durable_agents.models.support import SupportInput, SupportResult
from durable_agents.models.tracked import TrackedInput, TrackedResult
from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from starters.running import Flow

ACCOUNT = "A-1001"
REVIEWER = "demo reviewer"
"""As whom the demonstration decides; nobody signs in, so that its decisions are unverified."""


Meddle = Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """One run of the demonstration; `on_started` meddles with it once it works."""

    title: str
    flow: Flow
    request: BaseModel
    result_type: type[BaseModel]
    answer: Callable[[Any], str]
    kill_worker: bool = False
    on_started: Meddle | None = None


def scenes(*, may_kill: bool, simulator_url: str = "") -> list[Scene]:
    """The flows that exist, each on sample data; one loses its worker, if that may be."""
    question = "What is 12.5 % of 2480, and what is the weather in Oslo?"
    lookup = f"Look up account {ACCOUNT} and tell me the weather in its city."
    refund = "According to our refund policy, how long does a customer have to ask for a refund?"
    return [
        _react("An agent calls two tools side by side", question),
        _react(
            f"An agent {'whose worker is killed (kill -9)' if may_kill else 'looks up an account'}",
            lookup,
            kill_worker=may_kill,
        ),
        _react("An agent answers from the ingested documents, with its sources", refund),
        _react(
            "An agent asks a person before it files a ticket",
            f"File a ticket for account {ACCOUNT}: the printer is on fire.",
            on_started=_approve,
        ),
        Scene(
            "Weather, then advice",
            Flow("WeatherAdviceWorkflow", "weather-advice", "what to wear in Paris", "demo"),
            WeatherAdviceInput(city="Paris", user_id="demo"),
            WeatherAdviceResult,
            lambda result: result.advice,
        ),
        Scene(
            "A task whose progress is tracked in a table",
            Flow("TrackedWorkflow", "tracked", "task task-1", "demo"),
            TrackedInput(task_id="task-1", user_id="demo"),
            TrackedResult,
            lambda result: result.result,
        ),
        *_plain_flows(simulator_url),
        *_front_desk(),
        *_readers(),
        *_with_second_thoughts(fails=may_kill and bool(simulator_url)),
    ]


def _readers() -> list[Scene]:
    """The flows that read much: a document in three branches, and research."""
    document, question = "customer-feedback-spring", "What does the warranty cover?"
    return [
        Scene(
            "A document is read in three branches side by side",
            Flow("DocumentAnalysisWorkflow", "analyze-document", f"analyse {document}", "demo"),
            DocumentAnalysisInput(document_id=document, user_id="demo"),
            DocumentAnalysisResult,
            lambda result: (
                f"{result.sentiment} ({result.score:+.2f}); {', '.join(result.topics)}. "
                f"{result.summary}"
            ),
        ),
        Scene(
            "Several documents go through the work pool; one is not there",
            Flow("DocumentBatchWorkflow", "process-documents", "analyse 3 documents", "demo"),
            DocumentBatchInput(document_ids=("warranty", "shipping", "mislaid"), user_id="demo"),
            DocumentBatchResult,
            lambda result: (
                f"{result.done} of {result.total} analysed. "
                + " ".join(failure.reason for failure in result.failures)
            ),
        ),
        Scene(
            "A question is researched until the report is sure enough",
            Flow("ResearchWorkflow", "research", question, "demo"),
            ResearchInput(query=question, user_id="demo"),
            ResearchResult,
            lambda result: f"Confidence {result.confidence:.2f}. {result.report}",
        ),
    ]


def _front_desk() -> list[Scene]:
    """The flows that answer customers: support with a ticket, and routing."""
    issue = "My monitor arrived damaged and smells of burning. This is urgent, please call me!"
    question = "How much does the Business plan cost for ten monitors?"
    return [
        Scene(
            "A customer is answered, and the issue escalated with a ticket",
            Flow("SupportWorkflow", "support", issue, "A-1002"),
            SupportInput(issue=issue, user_id="A-1002"),
            SupportResult,
            lambda result: f"Ticket {result.ticket}, priority {result.priority}. {result.reply}",
        ),
        Scene(
            "A message is routed to the agent it is for",
            Flow("RoutingWorkflow", "route", question, "A-1002"),
            RoutingInput(message=question, user_id="A-1002"),
            RoutingResult,
            lambda result: f"To {result.intent} ({result.confidence:g}). {result.reply}",
        ),
    ]


def _with_second_thoughts(*, fails: bool) -> list[Scene]:
    """The flows that go on after a no: a person's, or that of a model's server."""
    agent = "the primary agent fails, so the fallback does it" if fails else "an agent in reserve"
    return [
        Scene(
            "A text is rejected with feedback, revised, and approved",
            Flow("ReviewWorkflow", "review", "review task task-5", "demo"),
            ReviewInput(task_id="task-5", user_id="demo", decision_deadline_s=60),
            ReviewResult,
            lambda result: f"Revision {result.revision} {result.status}: {result.result}",
            on_started=_reject_then_approve,
        ),
        Scene(
            f"A task: {agent}",
            Flow("ResilientTaskWorkflow", "resilient-task", "task task-4", "demo"),
            ResilientTaskInput(task_id="task-4", user_id="demo"),
            ResilientTaskResult,
            lambda result: f"By {result.agent}: {result.result}",
        ),
    ]


async def _reject_then_approve(handle: WorkflowHandle[Any, Any]) -> None:
    """Decide as a person would: the first revision may be better, the second is fine."""
    await _decide(handle, "reject", "Say first what customers can do now.")
    await _decide(handle, "approve")


async def _approve(handle: WorkflowHandle[Any, Any]) -> None:
    await _decide(handle, "approve")


async def _decide(handle: WorkflowHandle[Any, Any], verdict: Verdict, feedback: str = "") -> None:
    """Decide on what a run waits for, as soon as it waits."""
    while True:
        await asyncio.sleep(0.1)
        with suppress(RPCError, WorkflowQueryFailedError, WorkflowUpdateFailedError):
            state = await handle.query("approval", result_type=ApprovalState)
            if state.pending is None:
                continue
            decision = Decision(
                verdict=verdict, digest=state.pending.digest, by=REVIEWER, feedback=feedback
            )
            await handle.execute_update("submit_decision", decision)  # pyright: ignore[reportUnknownMemberType] - the SDK's type
            return


def _plain_flows(simulator_url: str) -> list[Scene]:
    """The flows without an agent's loop: a task, a call to the world, two steps to watch."""
    page = f"{simulator_url}/pages/hello.txt" if simulator_url else "https://example.com/"
    return [
        Scene(
            "A user's task, processed, saved and notified",
            Flow("TaskWorkflow", "process-task", "task task-3", "user-2"),
            TaskInput(user_id="user-2", task_id="task-3"),
            TaskResult,
            lambda result: f"{result.result}\nNotification: {result.notification}.",
        ),
        Scene(
            "A call to an address of the web",
            Flow("ExternalCallWorkflow", "external-call", f"fetch {page}", "demo"),
            ExternalCallInput(url=page, user_id="demo"),
            ExternalCallResult,
            lambda result: f"HTTP {result.status}: {result.body}",
        ),
        Scene(
            "An order: reserved, charged, fulfilled",
            Flow("OrderWorkflow", "order", "order 1001", "demo"),
            OrderInput(order_id="1001", user_id="demo"),
            OrderResult,
            lambda result: f"{result.order_id} is {result.status}: {result.confirmation}",
        ),
        Scene(
            "Two steps that are there to be watched",
            Flow("DebugWorkflow", "debug", "3 values", "demo"),
            DebugInput(values=(3, 4, 5), user_id="demo"),
            DebugResult,
            lambda result: f"{result.count} values, mean {result.mean:g}",
        ),
    ]


def _react(
    title: str, task: str, *, kill_worker: bool = False, on_started: Meddle | None = None
) -> Scene:
    return Scene(
        title,
        Flow("ReActWorkflow", "react", task, "demo"),
        ReActInput(task=task, user_id="demo", asked_by="demo", decision_deadline_s=60),
        ReActResult,
        lambda result: result.answer,
        kill_worker,
        on_started,
    )
