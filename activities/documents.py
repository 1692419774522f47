"""Touches documents, and the model that reads them: section by section, never a whole one.

What was noted of a section is stored with the rows of its calls, so that an attempt goes on where
the one before it stopped. A worker holds one window of a document for each activity at work,
however long the document is.
"""

import time
from typing import Any

from pydantic import BaseModel
from temporalio import activity

from activities.call_site import call_site, step_of
from durable_agents.agent import findings, sections
from durable_agents.agent.asking import Asker
from durable_agents.agent.budget import Allowance
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.output import complaint_of, parse_output, response_format
from durable_agents.agent.question import Question
from durable_agents.agent.toolbox import fenced
from durable_agents.db import documents
from durable_agents.db.documents import Note
from durable_agents.db.engine import Database
from durable_agents.db.usage import record_call, usage_of_step
from durable_agents.models.analyze_document import (
    SUMMARIES_AT_ONCE,
    BranchFindings,
    CombineInput,
    DocumentAnalysisResult,
    DocumentFacts,
    ReadSectionsInput,
    SectionsRead,
    Sentiment,
    Summary,
    Topics,
)
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    InputError,
    QuotaWaitError,
    TransientError,
)

SAMPLE_CHARS = 8000
SUMMARY_CHARS = 1200
SECTIONS_IN_A_WINDOW = 16  # 128,000 characters
PATIENCE_S = 300  # then what is left is handed back, so that no attempt grows long
PROMPT_CHARS = 20_000

OUTPUT: dict[str, type[BaseModel]] = {"sentiment": Sentiment, "topics": Topics, "summary": Summary}


class DocumentActivities:
    """Query a document, read its sections, combine what was noted, save the analysis."""

    def __init__(self, asker: Asker, database: Database) -> None:
        self._asker = asker
        self._database = database

    @activity.defn(name="get_document")
    async def get_document(self, document_id: str) -> DocumentFacts:
        """Tell how long a document is and into how many sections it falls.

        Raises:
            NotFoundError: There is none of this id.
            InputError: It is not text.
        """
        async with self._database.statement() as connection:
            head = await documents.read_head(connection, document_id, SAMPLE_CHARS)
        if not sections.is_text(head.beginning):
            raise InputError(
                f"The document {document_id} is not text: its beginning holds no words, or "
                "bytes that are no characters. Store its text (UTF-8) and start again."
            )
        return DocumentFacts(
            document_id=head.document_id,
            title=head.title[:200],
            chars=head.chars,
            sections=sections.count_sections(head.chars),
            digest=head.digest,
        )

    @activity.defn(name="read_sections")
    async def read_sections(self, request: ReadSectionsInput) -> SectionsRead:
        """Let the branch's agent read some sections in order, but for those it has notes of.

        Hands back what is left when it takes long, or when after some of them the model stays
        away or the allowance ends: the next activity begins with fresh attempts, or says so. A
        wait for a quota is one of the attempts of this one.

        Raises:
            InputError: The document has changed or is gone.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            ModelOutputError: No answer fits the type.
            BudgetExceededError: The allowance does not suffice for the first of them.
        """
        began = time.monotonic()
        branch, step = _key(request.branch, request.level), step_of()
        async with self._database.statement() as connection:
            notes = await documents.read_notes(
                connection, step.run_id, branch, first=request.first, count=request.count
            )
        noted = {note.section for note in notes}
        source = _Source(self._database, step.run_id, request)
        read, fresh = 0, 0
        for section in range(request.first, request.first + request.count):
            if section not in noted:
                if fresh and time.monotonic() - began > PATIENCE_S:
                    break
                try:
                    await self._read(request, section, await source.text(section), fresh)
                except QuotaWaitError:  # the next attempt goes on here, after the wait
                    raise
                except (TransientError, BudgetExceededError):
                    if not read:
                        raise
                    break
                fresh += 1
            read += 1
        async with self._database.statement() as connection:
            return SectionsRead(read=read, usage=await usage_of_step(connection, step))

    async def _read(self, request: ReadSectionsInput, section: int, text: str, fresh: int) -> None:
        """Let the agent read one section, and keep its note; `fresh` were read by this attempt."""
        agent = get_agent(f"document_{request.branch}")
        output_type = OUTPUT[request.branch]
        if agent.output_type is not output_type:
            raise ConfigurationError(f"Agent {agent.name} needs the output type {output_type}.")
        part = "Section" if request.level == 0 else "Summaries of sections, part"
        prompt = f"{part} {section + 1} of {request.of} of a document:\n\n"
        question = Question(
            [
                {"role": "system", "content": agent.instructions},
                {"role": "user", "content": prompt + fenced("document", text, limit=PROMPT_CHARS)},
            ],
            lambda answer: complaint_of(output_type, answer),
            response_format=response_format(output_type),
            allowance=Allowance(request.max_tokens, request.max_cost_usd, request.max_calls),
            asked_before=fresh > 0,
        )
        asked = await self._asker.ask(agent, question, call_site(request.user_id))
        note = {
            "value": _capped(parse_output(output_type, asked.answer)),
            "chars": len(text),
            "model": asked.answer.model,
        }
        branch = _key(request.branch, request.level)
        async with self._database.transaction() as connection:
            for record in asked.records:
                await record_call(connection, record)
            await documents.save_note(connection, step_of().run_id, Note(branch, section, note))

    @activity.defn(name="combine_notes")
    async def combine_notes(self, request: CombineInput) -> BranchFindings:
        """Put together what a branch noted: mean, ranking, or the summary of the summaries."""
        branch = _key(request.branch, request.levels - 1)
        async with self._database.statement() as connection:
            notes = await documents.read_notes(connection, step_of().run_id, branch)
        if not notes:
            raise InputError(f"Nothing was noted for {request.branch}. Start the analysis again.")
        values = [note.note["value"] for note in notes]
        found = BranchFindings(model=str(notes[-1].note["model"]))
        if request.branch == "summary":
            return found.model_copy(update={"summary": values[0]["text"]})
        if request.branch == "topics":
            topics = findings.ranked_topics(value["topics"] for value in values)
            return found.model_copy(update={"topics": topics})
        chars = [int(note.note["chars"]) for note in notes]
        scores = [float(value["score"]) for value in values]
        mean = findings.mean_score(list(zip(scores, chars, strict=True)))
        label = values[0]["label"] if len(values) == 1 else findings.label_of(mean)
        return found.model_copy(update={"sentiment": label, "score": mean})

    @activity.defn(name="save_analysis")
    async def save_analysis(self, result: DocumentAnalysisResult) -> None:
        """Keep what an analysis found; a second delivery writes the same row."""
        async with self._database.statement() as connection:
            await documents.save_analysis(
                connection,
                run_id=step_of().run_id,
                document_id=result.document_id,
                result=result.model_dump(mode="json"),
                missing=[missing.branch for missing in result.missing],
            )


class _Source:
    """What the sections of a request are: windows of a document, or notes on it."""

    def __init__(self, database: Database, run_id: str, request: ReadSectionsInput) -> None:
        self._database = database
        self._run_id = run_id
        self._request = request
        self._window: dict[int, str] = {}

    async def text(self, section: int) -> str:
        """The text of a section; reads the next window when the one in hand ends before it."""
        if self._request.level:
            return await self._summaries(section)
        if section not in self._window:
            self._window = await self._next_window(section)
        return self._window.pop(section)

    async def _next_window(self, first: int) -> dict[int, str]:
        wanted = self._request
        count = min(SECTIONS_IN_A_WINDOW, wanted.first + wanted.count - first)
        start, chars = sections.window_of(first, count, wanted.of)
        async with self._database.statement() as connection:
            window = await documents.read_window(
                connection, wanted.document_id, digest=wanted.digest, start=start, chars=chars
            )
        return dict(enumerate(sections.cut(window, first, count, wanted.of), first))

    async def _summaries(self, section: int) -> str:
        below = _key(self._request.branch, self._request.level - 1)
        async with self._database.statement() as connection:
            notes = await documents.read_notes(
                connection,
                self._run_id,
                below,
                first=section * SUMMARIES_AT_ONCE,
                count=SUMMARIES_AT_ONCE,
            )
        return "\n\n".join(str(note.note["value"]["text"]) for note in notes)


def _key(branch: str, level: int) -> str:
    """How the notes of a branch are named on a level."""
    return f"{branch}/{level}" if level else branch


def _capped(value: BaseModel) -> dict[str, Any]:
    """What is kept of an answer: a model that goes on and on does not fill the database."""
    if isinstance(value, Summary):
        return {"text": value.text.strip()[:SUMMARY_CHARS]}
    if isinstance(value, Topics):
        most = findings.TOPICS_OF_A_SECTION
        return {"topics": [topic[: findings.TOPIC_CHARS] for topic in value.topics[:most]]}
    return value.model_dump(mode="json")
