"""F5: an agent answers a customer; another decides whether people have to see it."""

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.generation import GenerationActivities
    from activities.records import RecordActivities
    from activities.tickets import TicketActivities
    from durable_agents.agent.budget import Allowance, Budget
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import (
        GeneratedObject,
        GenerateInput,
        LoggedError,
        QuotedMessage,
        Thought,
    )
    from durable_agents.models.errors import BudgetExceededError
    from durable_agents.models.react import StopReason
    from durable_agents.models.support import Judgement, SupportInput, SupportResult
    from durable_agents.models.tickets import (
        CreateTicketInput,
        FiledTicket,
        FoundTicket,
        ticket_key,
    )
    from workflows import policies
    from workflows.agent_loop import AgentLoop
    from workflows.budgets import budget_of, within
    from workflows.flow import Flow, reason_of, type_of

AGENT = "support"
JUDGE = "escalation_judge"
NO_REPLY = "We could not settle this right away. A colleague will look at it and write to you."
NO_ANSWER = "The agent found no answer in its rounds."
NO_BUDGET = "The budget ended before the agent found an answer."
NOT_JUDGED = "not judged: {0}"
QUESTION = "Should this be escalated? It is what the customer wrote{and_reply}."
AND_REPLY = ", and after it what was replied"
REASON_CHARS = 500
LOGGED_CHARS = 2000


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class SupportWorkflow(Flow):
    """Answer a customer, and see to it that people get what they have to act on.

    Takes the query `status`. Ends with the reply, and with a ticket where one was filed: by the
    agent with its tool or by the step *create ticket*, one for the conversation at most. An agent
    that finds no answer in its rounds or its budget is a reason to escalate, and so is a judge
    that fails for good: the customer has the reply by then. Fails when another step fails for
    good, or at its deadline.
    """

    def __init__(self) -> None:
        """Begin before the first round."""
        super().__init__()
        self._budget = Budget()
        self._stopped: StopReason = "max_rounds"

    @workflow.run
    async def run(self, request: SupportInput) -> SupportResult:
        """Reply, decide, file a ticket if need be."""
        return await self._to_deadline(request.deadline_s, self._support(request))

    async def _support(self, request: SupportInput) -> SupportResult:
        self._budget = budget_of(request)
        loop = AgentLoop(self, agent=AGENT, user_id=request.user_id, budget=self._budget)
        await loop.open(request.issue)
        key = ticket_key(loop.state().thread)
        loop.do_once("file_ticket", key)
        answered = await self._answer(loop, request.max_rounds)
        decision = await self._decide(loop.task, answered, request.user_id)
        ticket = None
        if decision.escalate:
            ticket = await self._create_ticket(key, loop.task, answered, decision, request.user_id)
        elif any(call.tool == "file_ticket" for call in loop.state().tool_calls):
            ticket = await self._find_ticket(key)
        await loop.conclude(answered, NO_REPLY)
        return self._result(loop, answered, decision, ticket)

    async def _answer(self, loop: AgentLoop, rounds: int) -> Thought | None:
        """The agent's answer; None when its rounds or the budget end before it."""
        try:
            answered = await loop.answer(rounds)
        except BudgetExceededError as error:
            self._stopped, self._note = "budget", error.message
            return None
        self._stopped = "answered" if answered else "max_rounds"
        return answered

    async def _decide(self, issue: int, answered: Thought | None, user_id: str) -> Judgement:
        """Let the judge decide; people have to see what nobody could judge, whatever the reason."""
        try:
            judgement = await self._judge(issue, answered, user_id)
        except (ActivityError, BudgetExceededError) as error:
            if is_cancelled_exception(error):
                raise
            judgement = await self._not_judged(error)
        reason = judgement.reason[:REASON_CHARS]
        if answered is not None:
            return judgement.model_copy(update={"reason": reason})
        why = NO_BUDGET if self._stopped == "budget" else NO_ANSWER
        return judgement.model_copy(update={"escalate": True, "reason": f"{why} {reason}"})

    async def _not_judged(self, error: Exception) -> Judgement:
        """Escalate in the judge's place, and say why in the status and in the table of errors."""
        failed = LoggedError(type=type_of(error), message=reason_of(error)[:LOGGED_CHARS])
        self._note = NOT_JUDGED.format(failed.message)
        with self.step("log error", failed.message[:200]):
            await workflow.execute_activity_method(
                RecordActivities.log_error,
                failed,
                activity_id="log-error",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="log why nobody judged",
            )
        return Judgement(escalate=True, priority="medium", reason=self._note, judged=False)

    async def _judge(self, issue: int, answered: Thought | None, user_id: str) -> Judgement:
        """What the judge says, outside the customer's thread."""
        quoted = [QuotedMessage(message=issue, source="customer")]
        if answered is not None:
            quoted.append(QuotedMessage(message=answered.message, source="reply"))
        prompt = QUESTION.format(and_reply=AND_REPLY if answered is not None else "")
        asked = GenerateInput(agent=JUDGE, prompt=prompt, quoted=tuple(quoted), user_id=user_id)
        with self.step("decide"):
            decided = await within(self._budget, self, lambda left: self._ask_judge(asked, left))
        return Judgement.model_validate(decided.value)

    async def _ask_judge(self, asked: GenerateInput, left: Allowance) -> GeneratedObject:
        return await workflow.execute_activity_method(
            GenerationActivities.generate_object,
            asked.model_copy(update=vars(left)),
            activity_id="decide",
            task_queue=queue_of(JUDGE),
            start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
            schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.MODEL_CALL,
            summary="should this be escalated?",
        )

    async def _create_ticket(
        self,
        key: str,
        issue: int,
        answered: Thought | None,
        decision: Judgement,
        user_id: str,
    ) -> FiledTicket:
        with self.step("create ticket", decision.priority):
            return await workflow.execute_activity_method(
                TicketActivities.create_ticket,
                CreateTicketInput(
                    key=key,
                    issue=issue,
                    reply=answered.message if answered else 0,
                    priority=decision.priority,
                    reason=decision.reason,
                    user_id=user_id,
                ),
                activity_id="create-ticket",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"create a ticket, priority {decision.priority}",
            )

    async def _find_ticket(self, key: str) -> FiledTicket | None:
        """The ticket that the agent has filed with its tool, if the call went well."""
        with self.step("find ticket"):
            found: FoundTicket = await workflow.execute_activity_method(
                TicketActivities.find_ticket,
                key,
                activity_id="find-ticket",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="find the ticket that the agent filed",
            )
        return found.ticket

    def _result(
        self,
        loop: AgentLoop,
        answered: Thought | None,
        decision: Judgement,
        ticket: FiledTicket | None,
    ) -> SupportResult:
        state = loop.state()
        return SupportResult(
            reply=answered.answer if answered else NO_REPLY,
            ticket=ticket.ticket_id if ticket else None,
            priority=ticket.priority if ticket else decision.priority,
            escalated=ticket is not None,
            reason=decision.reason,
            stopped=self._stopped,
            judged=decision.judged,
            tool_calls=state.tool_calls,
            thread=state.thread,
            model=answered.model if answered else "",
            usage=self._usage,
        )
