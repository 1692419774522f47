"""F7: read a document of any size by sections, in three branches side by side, and save it."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.documents import DocumentActivities
    from durable_agents.agent.budget import Budget
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.analyze_document import (
        SUMMARIES_AT_ONCE,
        Branch,
        BranchFindings,
        CombineInput,
        DocumentAnalysisInput,
        DocumentAnalysisResult,
        DocumentFacts,
        MissingBranch,
        ReadSectionsInput,
        SectionsRead,
    )
    from durable_agents.models.errors import BudgetExceededError
    from workflows import policies
    from workflows.budgets import budget_of, within
    from workflows.flow import Flow, reason_of
    from workflows.together import together

BRANCHES: tuple[Branch, ...] = ("sentiment", "topics", "summary")
AT_ONCE = 4  # activities of one branch in flight
BATCH = 16  # sections an activity reads, one after the other
MOST_BATCHES = 64  # of a level: beyond them batches grow, and history does not
BATCH_TIMEOUT = timedelta(minutes=12)  # five until it hands back, six for a section, one to spare


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class DocumentAnalysisWorkflow(Flow):
    """Find out how a document feels, what it is about, and what it says.

    Takes the query `status`. Ends with the analysis; when a branch fails for good, or the budget
    ends in it, without its part if the caller allows that, else the run fails. Fails as well when
    the document is unknown, no text, or changed meanwhile, and at its deadline.
    """

    def __init__(self) -> None:
        """Begin without knowing the document and the budget."""
        super().__init__()
        self._missing: list[MissingBranch] = []
        self._budget = Budget()
        self._alone = asyncio.Lock()

    @workflow.run
    async def run(self, request: DocumentAnalysisInput) -> DocumentAnalysisResult:
        """Look at the document, read it in three branches, save what they found."""
        self._budget = budget_of(request)
        return await self._to_deadline(request.deadline_s, self._analyse(request))

    async def _analyse(self, request: DocumentAnalysisInput) -> DocumentAnalysisResult:
        facts = await self._get_document(request.document_id.strip())
        found = await self._all_branches(facts, request)
        result = self._result(facts, found)
        await self._save(result)
        return result

    async def _get_document(self, document_id: str) -> DocumentFacts:
        with self.step("get document", document_id):
            return await workflow.execute_activity_method(
                DocumentActivities.get_document,
                document_id,
                activity_id="get-document",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"look at document {document_id}"[:200],
            )

    async def _all_branches(
        self, facts: DocumentFacts, request: DocumentAnalysisInput
    ) -> list[BranchFindings]:
        """Read side by side; with a budget one after the other, so that it pays for whole ones."""
        if request.max_tokens or request.max_cost_usd or request.max_calls:
            return [await self._branch_if_allowed(name, facts, request) for name in BRANCHES]
        return await together(self._branch_if_allowed(name, facts, request) for name in BRANCHES)

    async def _branch_if_allowed(
        self, branch: Branch, facts: DocumentFacts, request: DocumentAnalysisInput
    ) -> BranchFindings:
        """What a branch found; nothing when it failed and others may stand without it."""
        try:
            return await self._branch(branch, facts, request.user_id)
        except (ActivityError, BudgetExceededError) as error:
            alone = len(self._missing) == len(BRANCHES) - 1
            if is_cancelled_exception(error) or not request.allow_partial or alone:
                raise
            self._missing.append(MissingBranch(branch=branch, reason=reason_of(error)[:1000]))
            return BranchFindings()

    async def _branch(self, branch: Branch, facts: DocumentFacts, user_id: str) -> BranchFindings:
        """Read all sections; summaries are summarised until one is left."""
        count, levels = facts.sections, 1
        await self._read_level(branch, 0, count, facts, user_id)
        while branch == "summary" and count > 1:
            count = -(-count // SUMMARIES_AT_ONCE)
            await self._read_level(branch, levels, count, facts, user_id)
            levels += 1
        return await self._combine(branch, levels)

    async def _read_level(
        self, branch: Branch, level: int, of: int, facts: DocumentFacts, user_id: str
    ) -> None:
        """Read the sections of a level in batches, some of them side by side."""
        slots = asyncio.Semaphore(AT_ONCE)
        size = batch_size(of)
        batches = [
            ReadSectionsInput(
                document_id=facts.document_id,
                digest=facts.digest,
                branch=branch,
                first=first,
                count=min(size, of - first),
                of=of,
                level=level,
                user_id=user_id,
            )
            for first in range(0, of, size)
        ]
        await together(self._read_batch(batch, slots) for batch in batches)

    async def _read_batch(self, batch: ReadSectionsInput, slots: asyncio.Semaphore) -> None:
        """Read a batch, in as many activities as it takes."""
        async with slots:
            while batch.count:
                done = await self._read_within_budget(batch)
                left = {"first": batch.first + done, "count": batch.count - done}
                batch = batch.model_copy(update=left)

    async def _read_within_budget(self, batch: ReadSectionsInput) -> int:
        """Read with a share of the budget; where that is too little, alone with what is left.

        Raises:
            BudgetExceededError: Nothing is left, or too little for a section.
        """
        with suppress(BudgetExceededError), self._budget.shared():
            await asyncio.sleep(0)  # so that all who begin now are counted before one reserves
            return await self._read_reserved(batch, "")
        async with self._alone:
            await workflow.wait_condition(lambda: self._budget.is_idle)
            return await self._read_reserved(batch, "-alone")

    async def _read_reserved(self, batch: ReadSectionsInput, suffix: str) -> int:
        """Reserve, read, settle."""
        done = await within(
            self._budget,
            self,
            lambda left: self._read_some(batch.model_copy(update=vars(left)), suffix),
        )
        return done.read

    async def _read_some(self, batch: ReadSectionsInput, suffix: str) -> SectionsRead:
        name = f"{batch.branch} {batch.level}" if batch.level else batch.branch
        place = f"{batch.first + 1}-{batch.first + batch.count} of {batch.of}"
        with self.step(f"{name}: {place}"):
            return await workflow.execute_activity_method(
                DocumentActivities.read_sections,
                batch,
                activity_id=f"{name.replace(' ', '-')}-{batch.first + 1}{suffix}",
                task_queue=queue_of(f"document_{batch.branch}"),
                start_to_close_timeout=BATCH_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"{name}: read sections {place}",
            )

    async def _combine(self, branch: Branch, levels: int) -> BranchFindings:
        with self.step(f"combine {branch}"):
            return await workflow.execute_activity_method(
                DocumentActivities.combine_notes,
                CombineInput(branch=branch, levels=levels),
                activity_id=f"combine-{branch}",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"put together what was noted: {branch}",
            )

    def _result(self, facts: DocumentFacts, found: list[BranchFindings]) -> DocumentAnalysisResult:
        sentiment, topics, summary = found
        return DocumentAnalysisResult(
            document_id=facts.document_id,
            title=facts.title,
            chars=facts.chars,
            sections=facts.sections,
            sentiment=sentiment.sentiment,
            score=sentiment.score,
            topics=topics.topics,
            summary=summary.summary,
            partial=bool(self._missing),
            missing=tuple(self._missing),
            usage=self._usage,
            model=next((part.model for part in found if part.model), ""),
        )

    async def _save(self, result: DocumentAnalysisResult) -> None:
        with self.step("save analysis"):
            await workflow.execute_activity_method(
                DocumentActivities.save_analysis,
                result,
                activity_id="save-analysis",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"save the analysis of {result.document_id}"[:200],
            )


def batch_size(sections: int) -> int:
    """How many sections one activity reads: enough activities for all slots, but not too many."""
    for_the_slots = -(-sections // AT_ONCE)
    for_the_history = -(-sections // MOST_BATCHES)
    return max(min(BATCH, for_the_slots), for_the_history)
