"""The model calls of research that are not an agent's loop, each within the shared budget."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.research import WRITERS, ResearchActivities
    from durable_agents.agent.budget import Allowance, Budget
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import GeneratedObject, GenerateInput
    from durable_agents.models.research import (
        MOST_SUB_QUESTIONS,
        Evaluated,
        EvaluateInput,
        ResearchInput,
        ResearchPlan,
        WriteInput,
        Written,
    )
    from workflows import policies
    from workflows.budgets import within
    from workflows.flow import Flow

SUB_QUESTION_CHARS = 500

Task = Literal["compose", "review", "refine"]
Answer = TypeVar("Answer", GeneratedObject, Written, Evaluated)

WRITING = {
    "compose": ResearchActivities.compose_report,
    "review": ResearchActivities.review_report,
    "refine": ResearchActivities.refine_report,
}


class ResearchDesk:
    """The planner, the writers and the analyst of a run.

    Args:
        flow: The workflow whose steps these are.
        budget: What the run may spend.
    """

    def __init__(self, flow: Flow, budget: Budget) -> None:
        self._flow = flow
        self._budget = budget

    async def plan(self, request: ResearchInput) -> tuple[str, ...]:
        """Split the question; a plan that fails for good leaves it whole."""
        try:
            answer = await self._within_budget(
                "plan", lambda left: self._ask_planner(request, left)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return (request.query,)
        plan = ResearchPlan.model_validate(answer.value)
        questions = [question.strip()[:SUB_QUESTION_CHARS] for question in plan.sub_questions]
        chosen = tuple(dict.fromkeys(question for question in questions if question))
        return chosen[:MOST_SUB_QUESTIONS] or (request.query,)

    async def _ask_planner(self, request: ResearchInput, allowance: Allowance) -> GeneratedObject:
        """The question stands there as it is, for it is the user's own word.

        So do the sub-questions that come of it, where they are asked: the planner reads nothing
        but the question, and has no tools by which anyone else could speak through it.
        """
        return await workflow.execute_activity_method(
            GenerationActivities.generate_object,
            GenerateInput(
                agent="research_planner",
                prompt=f"Split this question into sub-questions.\n\nQuestion: {request.query}",
                user_id=request.user_id,
                **vars(allowance),
            ),
            activity_id="plan",
            task_queue=queue_of("research_planner"),
            start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
            schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.MODEL_CALL,
            summary="split the question into sub-questions",
        )

    async def write(
        self, task: Task, request: ResearchInput, drafts: tuple[int, ...], number: int
    ) -> Written:
        """Let an agent write from drafts; `number` is the round, 0 before the first.

        Raises:
            BudgetExceededError: Nothing is left, or too little for the call.
        """
        return await self._within_budget(
            f"{task} {number}" if number else task,
            lambda left: self._ask_writer(task, request, drafts, number, left),
        )

    async def _ask_writer(
        self,
        task: Task,
        request: ResearchInput,
        drafts: tuple[int, ...],
        number: int,
        allowance: Allowance,
    ) -> Written:
        return await workflow.execute_activity_method(
            WRITING[task],
            WriteInput(
                query=request.query,
                drafts=drafts,
                user_id=request.user_id,
                **vars(allowance),
            ),
            activity_id=f"{task}-{number}" if number else task,
            task_queue=queue_of(WRITERS[task][0]),
            start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
            schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.MODEL_CALL,
            summary=f"{task} the report{f', round {number}' if number else ''}",
        )

    async def evaluate(self, request: ResearchInput, draft: Written, number: int) -> Evaluated:
        """Let the analyst judge a draft.

        Raises:
            BudgetExceededError: Nothing is left, or too little for the call.
        """
        return await self._within_budget(
            f"evaluate {number}",
            lambda left: self._ask_analyst(request, draft, number, left),
        )

    async def _ask_analyst(
        self, request: ResearchInput, draft: Written, number: int, allowance: Allowance
    ) -> Evaluated:
        return await workflow.execute_activity_method(
            ResearchActivities.evaluate_report,
            EvaluateInput(
                query=request.query,
                draft=draft.draft,
                user_id=request.user_id,
                **vars(allowance),
            ),
            activity_id=f"evaluate-{number}",
            task_queue=queue_of("research_analyst"),
            start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
            schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.MODEL_CALL,
            summary=f"evaluate the report, round {number}",
        )

    async def _within_budget(
        self, step: str, ask: Callable[[Allowance], Awaitable[Answer]]
    ) -> Answer:
        """Make one model call with what is left of the budget.

        Raises:
            BudgetExceededError: Nothing is left, or too little for the call.
        """

        async def shown(allowance: Allowance) -> Answer:
            with self._flow.step(step):
                return await ask(allowance)

        return await within(self._budget, self._flow, shown)
