"""F6: classify a message, then let the agent of that route reply."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.interactions import InteractionActivities
    from durable_agents.agent.budget import Allowance, Budget
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.agent.routes import GENERAL, ROUTES, Route
    from durable_agents.agent.toolbox import fenced
    from durable_agents.models.conversation import GeneratedObject, GenerateInput, Thought
    from durable_agents.models.errors import BudgetExceededError
    from durable_agents.models.react import StopReason
    from durable_agents.models.route import (
        Classified,
        InteractionRecord,
        RoutingInput,
        RoutingResult,
    )
    from durable_agents.models.tickets import ticket_key
    from workflows import policies
    from workflows.agent_loop import AgentLoop
    from workflows.budgets import budget_of, within
    from workflows.flow import Flow

CLASSIFIER = "classifier"
NO_REPLY = "We could not answer this right away. Please ask again with a little more detail."
READ_CHARS = 4000  # of a message, to classify it
UNCLASSIFIED = "unclassified"  # before, a budget that ended here failed the run


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class RoutingWorkflow(Flow):
    """Classify a message, let the agent of its route reply, and save the interaction.

    Takes the query `status`. Ends with the reply and the route that was taken; a classification
    under the threshold goes to the general agent. A run that is out of rounds or budget says that
    it could not answer. Fails when a step fails for good, or at its deadline.
    """

    @workflow.run
    async def run(self, request: RoutingInput) -> RoutingResult:
        """Classify, reply, save."""
        return await self._to_deadline(request.deadline_s, self._route(request))

    async def _route(self, request: RoutingInput) -> RoutingResult:
        budget = budget_of(request)
        classified = await self._classify(request, budget)
        sure = classified.confidence >= request.threshold
        route = ROUTES.get(classified.type, GENERAL) if sure else GENERAL
        loop = AgentLoop(self, agent=route.agent, user_id=request.user_id, budget=budget)
        await loop.open(request.message)
        loop.do_once("file_ticket", ticket_key(loop.state().thread))
        answered, stopped = await self._answer(loop, request.max_rounds)
        reply = await loop.conclude(answered, NO_REPLY)
        await self._save(loop.task, reply, route, classified.confidence, request.user_id)
        state = loop.state()
        return RoutingResult(
            intent=route.intent,
            reply=answered.answer if answered else NO_REPLY,
            classified_as=classified.type,
            confidence=classified.confidence,
            agent=route.agent,
            stopped=stopped,
            tool_calls=state.tool_calls,
            thread=state.thread,
            model=answered.model if answered else "",
            usage=self._usage,
        )

    async def _answer(self, loop: AgentLoop, rounds: int) -> tuple[Thought | None, StopReason]:
        """The agent's answer, or why there is none."""
        try:
            answered = await loop.answer(rounds)
        except BudgetExceededError as error:
            self._note = error.message
            return None, "budget"
        return answered, "answered" if answered else "max_rounds"

    async def _classify(self, request: RoutingInput, budget: Budget) -> Classified:
        """What the message is about; nothing where the budget does not suffice to ask."""
        try:
            with self.step("classify"):
                done = await within(budget, self, lambda left: self._ask_classifier(request, left))
        except BudgetExceededError as error:
            if not workflow.patched(UNCLASSIFIED):
                raise
            self._note = error.message
            return Classified(type="", confidence=0)
        return Classified.model_validate(done.value)

    async def _ask_classifier(self, request: RoutingInput, left: Allowance) -> GeneratedObject:
        message = fenced("customer", request.message, limit=READ_CHARS)
        return await workflow.execute_activity_method(
            GenerationActivities.generate_object,
            GenerateInput(
                agent=CLASSIFIER,
                prompt=f"What is this message about?\n\n{message}",
                user_id=request.user_id,
                **vars(left),
            ),
            activity_id="classify",
            task_queue=queue_of(CLASSIFIER),
            start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
            schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.MODEL_CALL,
            summary="classify the message",
        )

    async def _save(
        self, message: int, reply: int, route: Route, confidence: float, user_id: str
    ) -> None:
        with self.step("save interaction", route.intent):
            await workflow.execute_activity_method(
                InteractionActivities.save_interaction,
                InteractionRecord(
                    message=message,
                    reply=reply,
                    intent=route.intent,
                    confidence=confidence,
                    agent=route.agent,
                    user_id=user_id,
                ),
                activity_id="save-interaction",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"save the interaction ({route.intent})",
            )
