"""F8: investigate sub-questions side by side, then evaluate, review and refine the report."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.research import ResearchActivities
    from durable_agents.agent.budget import Budget
    from durable_agents.models.errors import BudgetExceededError, ModelOutputError
    from durable_agents.models.research import (
        Evaluated,
        JoinFindingsInput,
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
    from workflows.budgets import budget_of
    from workflows.flow import Flow, reason_of
    from workflows.research_desk import ResearchDesk
    from workflows.together import together

INVESTIGATION_ROUNDS = 6
FAILURE_CHARS = 1000
FOR_THE_REPORT = 0.2  # of what the plan leaves of the budget: composing is one call, a long one


@dataclass(frozen=True)
class Draft:
    """A draft of the report, and what the analyst says of it if it was asked.

    Where none was written, the findings stand in for it.
    """

    written: Written
    judged: Evaluated | None = None
    is_findings: bool = False

    @property
    def confidence(self) -> float:
        """From 0 to 1; 0 as long as nobody was asked."""
        return self.judged.confidence if self.judged else 0


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class ResearchWorkflow(Flow):
    """Research a question until the report is sure enough, or out of rounds or budget.

    Takes the query `status`. Ends with the report; a sub-question that cannot be answered is
    named in the result. What was found stands when the budget ends, or a writer or the analyst
    fails for good: the best draft is the report, or the findings are where none was written.
    Fails when nothing was found, when it cannot be saved, or at its deadline.
    """

    def __init__(self) -> None:
        """Begin without a budget: the input tells it."""
        super().__init__()
        self._budget = Budget()
        self._desk = ResearchDesk(self, self._budget)
        self._model = ""
        self._loops: dict[str, AgentLoop] = {}
        self._cut: set[str] = set()
        self._unanswered: list[str] = []
        self._failures: list[ActivityError | BudgetExceededError] = []
        self._failure = ""

    @workflow.run
    async def run(self, request: ResearchInput) -> ResearchResult:
        """Plan, investigate, write, improve, save."""
        self._budget = budget_of(request)
        self._desk = ResearchDesk(self, self._budget)
        return await self._to_deadline(request.deadline_s, self._research(request))

    async def _research(self, request: ResearchInput) -> ResearchResult:
        questions = await self._desk.plan(request)
        with self._budget.keeping(FOR_THE_REPORT):
            found = await self._investigate_all(questions, request.user_id)
        best, rounds, stopped = await self._report(request, found)
        saved = await self._save(request, best, tuple(found.values()), rounds)
        return ResearchResult(
            report=saved.report,
            confidence=best.confidence,
            rounds=rounds,
            stopped=stopped,
            findings=best.judged.findings if best.judged else (),
            sources=saved.sources,
            sub_questions=questions,
            unanswered=tuple(self._unanswered),
            report_chars=saved.chars,
            usage=self._usage,
            model=best.written.model or self._model,
            evaluated=best.judged is not None,
            failure=self._failure,
            written=not best.is_findings,
        )

    async def _investigate_all(self, questions: tuple[str, ...], user_id: str) -> dict[str, int]:
        """The findings on the sub-questions, as drafts; some may be without.

        An investigation for which its share of the budget did not suffice goes on, when the
        others are done, with what they have left.
        """
        self._loops = {
            question: AgentLoop(
                self, agent="researcher", user_id=user_id, budget=self._budget, label=f"q{number}-"
            )
            for number, question in enumerate(questions, 1)
        }
        drafts = await together(self._investigate_if_possible(asked) for asked in questions)
        found = dict(zip(questions, drafts, strict=True))
        for question in [asked for asked in questions if asked in self._cut]:
            found[question] = await self._investigate_if_possible(question)
        self._unanswered = [asked for asked, draft in found.items() if not draft]
        found = {asked: draft for asked, draft in found.items() if draft}
        if found:
            return found
        if self._failures:
            raise self._failures[0]
        raise ModelOutputError(
            f"None of the {len(questions)} sub-questions was answered in {INVESTIGATION_ROUNDS} "
            "rounds. Ask more narrowly."
        )

    async def _investigate_if_possible(self, question: str) -> int:
        """Investigate; 0 when a step fails for good, or budget or rounds end before an answer."""
        with self._budget.shared():
            try:
                return await self._investigate(question, self._loops[question])
            except BudgetExceededError as error:
                self._cut.add(question)
                self._failures.append(error)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                self._failures.append(error)
        return 0

    async def _investigate(self, question: str, loop: AgentLoop) -> int:
        if not loop.is_open:
            await loop.open(f"Question: {question}")
        thought = await loop.answer(INVESTIGATION_ROUNDS)
        if thought is None:
            return 0
        self._model = thought.model or self._model
        with self.step(f"{loop.label}keep finding"):
            kept = await workflow.execute_activity_method(
                ResearchActivities.keep_finding,
                KeepFindingInput(message=thought.message),
                activity_id=f"{loop.label}keep-finding",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"keep the finding on: {question}"[:200],
            )
        return kept.draft

    async def _report(
        self, request: ResearchInput, found: dict[str, int]
    ) -> tuple[Draft, int, ResearchStop]:
        """Write and improve; the findings as they are when there comes no draft."""
        try:
            draft = await self._desk.write("compose", request, tuple(found.values()), 0)
        except BudgetExceededError:
            return Draft(await self._join(found), is_findings=True), 0, "budget"
        except ActivityError as error:
            self._failure = _failure_of(error)
            return Draft(await self._join(found), is_findings=True), 0, "failed"
        return await self._improve(request, draft)

    async def _join(self, found: dict[str, int]) -> Written:
        with self.step("join findings"):
            return await workflow.execute_activity_method(
                ResearchActivities.join_findings,
                JoinFindingsInput(
                    questions=tuple(found), findings=tuple(found.values()), failure=self._failure
                ),
                activity_id="join-findings",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="keep the findings in place of a report",
            )

    async def _improve(
        self, request: ResearchInput, draft: Written
    ) -> tuple[Draft, int, ResearchStop]:
        """Evaluate, review and refine the best draft until it is good enough; and the rounds."""
        best, rounds = Draft(draft), 0
        try:
            best = Draft(draft, await self._desk.evaluate(request, draft, rounds))
            while best.confidence < request.threshold and rounds < request.max_rounds:
                before = best.written.draft
                review = await self._desk.write("review", request, (before,), rounds + 1)
                drafts = (before, review.draft)
                draft = await self._desk.write("refine", request, drafts, rounds + 1)
                rounds += 1
                judged = await self._desk.evaluate(request, draft, rounds)
                if judged.confidence >= best.confidence:
                    best = Draft(draft, judged)
        except BudgetExceededError:
            return best, rounds, "budget"
        except ActivityError as error:
            self._failure = _failure_of(error)
            return best, rounds, "failed"
        enough = best.confidence >= request.threshold
        return best, rounds, "confident" if enough else "max_rounds"

    async def _save(
        self,
        request: ResearchInput,
        best: Draft,
        findings: tuple[int, ...],
        rounds: int,
    ) -> SavedReport:
        with self.step("save report"):
            return await workflow.execute_activity_method(
                ResearchActivities.save_report,
                SaveReportInput(
                    query=request.query,
                    draft=best.written.draft,
                    findings=findings,
                    confidence=best.confidence,
                    rounds=rounds,
                    user_id=request.user_id,
                ),
                activity_id="save-report",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="save the report",
            )


def _failure_of(error: ActivityError) -> str:
    """Why a step failed for good; a cancel is no failure, and goes on."""
    if is_cancelled_exception(error):
        raise error
    return reason_of(error)[:FAILURE_CHARS]
