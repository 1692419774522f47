"""Touches drafts and the model: writes, judges, reviews and refines texts that pass by id."""

import re
from collections.abc import Iterable

from temporalio import activity

from activities.call_site import call_site, step_of
from activities.thinking import spoken
from durable_agents.agent.asking import Asked, Asker
from durable_agents.agent.budget import Allowance
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.output import complaint_of, parse_output, response_format
from durable_agents.agent.question import Question
from durable_agents.agent.toolbox import fenced
from durable_agents.clients.model import ChatAnswer
from durable_agents.db import drafts, research
from durable_agents.db.engine import Database
from durable_agents.db.usage import model_of_step, record_calls, usage_of_step
from durable_agents.models.research import (
    Evaluated,
    EvaluateInput,
    Evaluation,
    JoinFindingsInput,
    KeepFindingInput,
    SavedReport,
    SaveReportInput,
    WriteInput,
    Written,
)

DRAFT_CHARS = 24_000
REPORT_CHARS = 8000  # of the report in the result; the table has all of it
MOST_FINDINGS, FINDING_CHARS = 5, 300
MOST_SOURCES, SOURCE_CHARS = 20, 300
EMPTY = "Your answer was empty. Answer again, with the text that was asked for."
BUDGET_ENDED = "The budget ended before a report was written."
UNWRITTEN = "{0} These are the findings as they are."
FAILED = "No report was written: {0}"

_SOURCE = re.compile(r"\[source: ([^\]\n]+)\]|(https?://[^\s<>\"'\])}]+)", re.IGNORECASE)

WRITERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "compose": ("research_writer", "Write a report that answers the question.", ("Findings",)),
    "review": ("research_critic", "Review the draft.", ("Draft",)),
    "refine": (
        "research_refiner",
        "Refine the report so that it takes up the points of the review.",
        ("Report", "Review"),
    ),
}
"""Each task's agent, what it is asked to do, and what the drafts are that it gets."""


class ResearchActivities:
    """Keep a finding, write, evaluate, save the report."""

    def __init__(self, asker: Asker, database: Database) -> None:
        self._asker = asker
        self._database = database

    @activity.defn(name="keep_finding")
    async def keep_finding(self, request: KeepFindingInput) -> Written:
        """Make the answer of an investigation a draft.

        Raises:
            NotFoundError: There is no such message.
        """
        async with self._database.transaction() as connection:
            draft = await drafts.keep_message(
                connection, step_of(), kind="finding", message=request.message
            )
        return Written(draft=draft)

    @activity.defn(name="join_findings")
    async def join_findings(self, request: JoinFindingsInput) -> Written:
        """Make one draft of findings, which says that they are no report.

        Raises:
            NotFoundError: A finding is not there.
        """
        async with self._database.transaction() as connection:
            texts = await drafts.read_drafts(connection, request.findings)
            joined = unwritten(request.questions, texts, request.failure)
            draft = await drafts.save_draft(connection, step_of(), kind="findings", content=joined)
        return Written(draft=draft)

    @activity.defn(name="compose_report")
    async def compose_report(self, request: WriteInput) -> Written:
        """Let the writer make a first draft of the findings.

        Raises:
            NotFoundError: A draft is not there.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            ModelOutputError: The model keeps answering nothing.
            BudgetExceededError: What is left does not suffice for a call.
        """
        return await self._write("compose", request)

    @activity.defn(name="review_report")
    async def review_report(self, request: WriteInput) -> Written:
        """Let the critic review a draft; raises what `compose_report` raises."""
        return await self._write("review", request)

    @activity.defn(name="refine_report")
    async def refine_report(self, request: WriteInput) -> Written:
        """Let the refiner take up a review; raises what `compose_report` raises."""
        return await self._write("refine", request)

    async def _write(self, task: str, request: WriteInput) -> Written:
        """Let an agent write a text from drafts, and keep it as a draft."""
        name, asks, labels = WRITERS[task]
        step = step_of()
        async with self._database.statement() as connection:
            stored = await drafts.find_draft(connection, step)
            if stored is not None:  # by an earlier attempt, of which nobody heard
                return Written(
                    draft=stored.draft_id,
                    model=await model_of_step(connection, step),
                    usage=await usage_of_step(connection, step),
                )
            texts = await drafts.read_drafts(connection, request.drafts)
        parts = [asks, _question(request.query), *_labelled(labels, texts)]
        asked = await self._ask(
            name,
            Question(
                _messages(name, parts),
                _complaint_of_text,
                allowance=Allowance(request.max_tokens, request.max_cost_usd, request.max_calls),
            ),
            request.user_id,
        )
        async with self._database.transaction() as connection:
            usage = await record_calls(connection, asked.records)
            text = spoken(asked.answer).strip()
            draft = await drafts.save_draft(connection, step, kind=task, content=text)
        return Written(draft=draft, model=asked.answer.model, usage=usage)

    @activity.defn(name="evaluate_report")
    async def evaluate_report(self, request: EvaluateInput) -> Evaluated:
        """Let the analyst judge a draft.

        Raises:
            NotFoundError: The draft is not there.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            ModelOutputError: No answer fits the type.
            BudgetExceededError: What is left does not suffice for a call.
        """
        name = "research_analyst"
        async with self._database.statement() as connection:
            texts = await drafts.read_drafts(connection, [request.draft])
        parts = ["Evaluate the draft.", _question(request.query), *_labelled(("Draft",), texts)]
        question = Question(
            _messages(name, parts),
            lambda answer: complaint_of(Evaluation, answer),
            response_format=response_format(Evaluation),
            allowance=Allowance(request.max_tokens, request.max_cost_usd, request.max_calls),
        )
        asked = await self._ask(name, question, request.user_id)
        async with self._database.transaction() as connection:
            usage = await record_calls(connection, asked.records)
        judged = Evaluation.model_validate(parse_output(Evaluation, asked.answer).model_dump())
        return Evaluated(
            findings=tuple(found[:FINDING_CHARS] for found in judged.findings[:MOST_FINDINGS]),
            confidence=round(judged.confidence, 4),
            model=asked.answer.model,
            usage=usage,
        )

    @activity.defn(name="save_report")
    async def save_report(self, request: SaveReportInput) -> SavedReport:
        """Make a draft the report of the run, and tell the sources that it rests on.

        Raises:
            NotFoundError: A draft is not there.
        """
        async with self._database.transaction() as connection:
            report, *found = await drafts.read_drafts(
                connection, [request.draft, *request.findings]
            )
            await research.save_report(
                connection,
                run_id=step_of().run_id,
                user_id=request.user_id,
                query=request.query,
                report=report,
                confidence=request.confidence,
                rounds=request.rounds,
            )
        return SavedReport(
            report=report[:REPORT_CHARS], chars=len(report), sources=sources_in([report, *found])
        )

    async def _ask(self, agent: str, question: Question, user_id: str) -> Asked:
        return await self._asker.ask(get_agent(agent), question, call_site(user_id))


def sources_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The sources that texts name, each once, in order."""
    named = (found[1] or found[2] for text in texts for found in _SOURCE.finditer(text))
    sources = (source.strip().rstrip(".,;")[:SOURCE_CHARS] for source in named)
    return tuple(dict.fromkeys(sources))[:MOST_SOURCES]


def _messages(agent: str, parts: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": get_agent(agent).instructions},
        {"role": "user", "content": "\n\n".join(parts)},
    ]


def unwritten(questions: Iterable[str], findings: Iterable[str], failure: str = "") -> str:
    """Findings in place of a report: each under its question, and before them why it is so."""
    why = FAILED.format(failure) if failure else BUDGET_ENDED
    found = [f"{asked}\n{text}" for asked, text in zip(questions, findings, strict=True)]
    return "\n\n".join([UNWRITTEN.format(why), *found])


def _question(query: str) -> str:
    """The question, without a fence: it is the user's own word, which the agents are to follow.

    What was found, drafted and reviewed stands inside fences: web pages speak through it.
    """
    return f"Question: {query}"


def _labelled(labels: tuple[str, ...], texts: list[str]) -> list[str]:
    """Each text under its label; several under the last one when there are more of them."""
    names = [labels[min(place, len(labels) - 1)] for place in range(len(texts))]
    limit = DRAFT_CHARS if len(texts) <= len(labels) else DRAFT_CHARS // len(texts) * 2
    return [
        f"{name}:\n{fenced(name.lower(), text, limit=limit)}"
        for name, text in zip(names, texts, strict=True)
    ]


def _complaint_of_text(answer: ChatAnswer) -> str:
    return "" if spoken(answer).strip() else EMPTY
