"""F8: investigate sub-questions side by side, then evaluate, review and refine the report."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.research import ResearchActivities
    from durable_agents.agent.budget import Budget
    from durable_agents.models.errors import BudgetExceededError, ModelOutputError
    from durable_agents.models.research import (
        Evaluated,
        KeepFindingInput,
        ResearchInput,
        ResearchResult,
        ResearchStop,
        SavedReport,
        SaveReportInput,
        Written,
    )
    from workflows import policies
    from workflows.agent_loop import AgentLoop
    from workflows.flow import Flow
    from workflows.research_desk import ResearchDesk
    from workflows.together import together

INVESTIGATION_ROUNDS = 6


@workflow.defn
class ResearchWorkflow(Flow):
    """Research a question until the report is sure enough, or out of rounds or budget.

    Takes the query `status`. Ends with the report; a sub-question that cannot be answered is
    named in the result, and what was found stands also when the budget ends before the last
    round. Fails when nothing was found, when another step fails for good, or at its deadline.
    """

    def __init__(self) -> None:
        """Begin without a budget: the input tells it."""
        super().__init__()
        self._budget = Budget()
        self._desk = ResearchDesk(self, self._budget)
        self._unanswered: list[str] = []
        self._failures: list[ActivityError | BudgetExceededError] = []

    @workflow.run
    async def run(self, request: ResearchInput) -> ResearchResult:
        """Plan, investigate, write, improve, save."""
        self._budget = Budget(
            max_tokens=request.max_tokens,
            max_cost_usd=request.max_cost_usd,
            max_calls=request.max_calls,
        )
        self._desk = ResearchDesk(self, self._budget)
        return await self._to_deadline(request.deadline_s, self._research(request))

    async def _research(self, request: ResearchInput) -> ResearchResult:
        questions = await self._desk.plan(request)
        findings = await self._investigate_all(questions, request.user_id)
        draft = await self._desk.write("compose", request, findings, 0)
        best, rounds, stopped = await self._improve(request, draft)
        saved = await self._save(request, best, findings, rounds)
        return ResearchResult(
            report=saved.report,
            confidence=best[1].confidence,
            rounds=rounds,
            stopped=stopped,
            findings=best[1].findings,
            sources=saved.sources,
            sub_questions=questions,
            unanswered=tuple(self._unanswered),
            report_chars=saved.chars,
            usage=self._usage,
            model=draft.model,
        )

    async def _investigate_all(self, questions: tuple[str, ...], user_id: str) -> tuple[int, ...]:
        """The findings on all sub-questions, as drafts; some may be without."""
        found = await together(
            self._investigate_if_possible(number, question, user_id)
            for number, question in enumerate(questions, 1)
        )
        findings = tuple(draft for draft in found if draft)
        if findings:
            return findings
        if self._failures:
            raise self._failures[0]
        raise ModelOutputError(
            f"None of the {len(questions)} sub-questions was answered in {INVESTIGATION_ROUNDS} "
            "rounds. Ask more narrowly."
        )

    async def _investigate_if_possible(self, number: int, question: str, user_id: str) -> int:
        """Investigate; 0 when a step fails for good, or budget or rounds end before an answer."""
        finding = 0
        with self._budget.shared():
            try:
                finding = await self._investigate(number, question, user_id)
            except (ActivityError, BudgetExceededError) as error:
                if is_cancelled_exception(error):
                    raise
                self._failures.append(error)
        if not finding:
            self._unanswered.append(question)
        return finding

    async def _investigate(self, number: int, question: str, user_id: str) -> int:
        label = f"q{number}-"
        loop = AgentLoop(
            self, agent="researcher", user_id=user_id, budget=self._budget, label=label
        )
        await loop.open(f"Question: {question}")
        thought = await loop.answer(INVESTIGATION_ROUNDS)
        if thought is None:
            return 0
        with self.step(f"{label}keep finding"):
            kept = await workflow.execute_activity_method(
                ResearchActivities.keep_finding,
                KeepFindingInput(message=thought.message),
                activity_id=f"{label}keep-finding",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"keep the finding on: {question}"[:200],
            )
        return kept.draft

    async def _improve(
        self, request: ResearchInput, draft: Written
    ) -> tuple[tuple[Written, Evaluated], int, ResearchStop]:
        """Evaluate, review and refine until it is good enough; the best draft, and the rounds."""
        best, rounds = (draft, Evaluated()), 0
        try:
            best = (draft, await self._desk.evaluate(request, draft, rounds))
            while best[1].confidence < request.threshold and rounds < request.max_rounds:
                review = await self._desk.write("review", request, (draft.draft,), rounds + 1)
                drafts = (draft.draft, review.draft)
                draft = await self._desk.write("refine", request, drafts, rounds + 1)
                rounds += 1
                judged = await self._desk.evaluate(request, draft, rounds)
                if judged.confidence >= best[1].confidence:
                    best = (draft, judged)
        except BudgetExceededError:
            return best, rounds, "budget"
        enough = best[1].confidence >= request.threshold
        return best, rounds, "confident" if enough else "max_rounds"

    async def _save(
        self,
        request: ResearchInput,
        best: tuple[Written, Evaluated],
        findings: tuple[int, ...],
        rounds: int,
    ) -> SavedReport:
        with self.step("save report"):
            return await workflow.execute_activity_method(
                ResearchActivities.save_report,
                SaveReportInput(
                    query=request.query,
                    draft=best[0].draft,
                    findings=findings,
                    confidence=best[1].confidence,
                    rounds=rounds,
                    user_id=request.user_id,
                ),
                activity_id="save-report",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the report",
            )
