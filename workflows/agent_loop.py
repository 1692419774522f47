"""The rounds of an agent: think, act, observe, as parts that workflows put together.

Each model call and each tool call is a step of its own; the tool calls of one thought run side
by side. What is said and observed lies in the database: history holds references, so a round
costs the same bytes whether it is the third or the three-hundredth.
"""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.conversation import ConversationActivities
    from activities.thinking import ThinkingActivities
    from durable_agents.agent.budget import Allowance, Budget
    from durable_agents.agent.catalogue import AGENTS
    from durable_agents.agent.model_queues import queue_of
    from durable_agents.models.conversation import (
        FailedCall,
        ObserveInput,
        OpenThreadInput,
        SaidMessage,
        SaveMessagesInput,
        ThinkInput,
        Thought,
        ThreadHead,
    )
    from durable_agents.models.react import LoopState
    from durable_agents.telemetry.spans import SPANS, Span
    from workflows import policies
    from workflows.budgets import within
    from workflows.flow import Flow
    from workflows.tool_approval import ToolApproval
    from workflows.tool_calls import ToolCalls


class AgentLoop:
    """One agent at work in a thread.

    Args:
        flow: The workflow whose steps these are.
        agent: The agent's name in the catalogue.
        user_id: For whom it works.
        budget: What it may spend; other loops of the run may share it.
        state: Where an earlier run of the chain left off.
        label: Tells the steps of this loop from those of the run's other loops; ends in a dash.
        approval: Asks people about the calls that need them; without it these are refused.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        agent: str,
        user_id: str,
        budget: Budget,
        state: LoopState | None = None,
        label: str = "",
        approval: ToolApproval | None = None,
    ) -> None:
        self._flow = flow
        self.label = label
        self._agent = agent
        self._user_id = user_id
        self._budget = budget
        before = state or LoopState(thread=0, head=0, task=0, round=0)
        self._thread = ThreadHead(thread=before.thread, head=before.head)
        self._task = before.task
        self._calls = ToolCalls(flow, label, user_id, approval, before)
        self.round = before.round
        self._span: Span | None = None

    @property
    def is_open(self) -> bool:
        """Whether the task is part of a thread yet."""
        return self._task != 0

    @property
    def task(self) -> int:
        """The message that states the task; 0 as long as the loop is not open."""
        return self._task

    def state(self) -> LoopState:
        """Where the loop is."""
        return LoopState(
            thread=self._thread.thread,
            head=self._thread.head,
            task=self._task,
            round=self.round,
            tool_calls=tuple(self._calls.latest),
            tool_calls_made=self._calls.made,
            occurrences=self._calls.keys.occurrences,
            unsettled=self._calls.keys.unsettled,
        )

    async def open(self, task: str, thread: int = 0) -> None:
        """Make the task part of a thread: a new one, or the one that is named."""
        with self._flow.step(f"{self.label}open thread"):
            self._thread = await workflow.execute_activity_method(
                ConversationActivities.create_thread,
                OpenThreadInput(
                    text=task,
                    chain=workflow.info().first_execution_run_id,
                    agent=self._agent,
                    user_id=self._user_id,
                    thread=thread,
                ),
                activity_id=f"{self.label}open-thread",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="open a thread with the task",
            )
        self._task = self._thread.head
        if self._span is not None:
            self._span.tell(self._conversation())

    def do_once(self, tool: str, key: str) -> None:
        """Let all calls of a tool be one effect under a key, which the first of them does.

        The others are told what the first one did, whatever their arguments say. The tool has to
        heed `first_stands`.
        """
        self._calls.keys.share(tool, key)

    async def answer(self, max_rounds: int) -> Thought | None:
        """Go round until the agent answers; None when it is out of rounds."""
        with self.traced():
            while self.round < max_rounds:
                thought = await self.think()
                if not thought.calls:
                    return thought
                failed = await self.act(thought)
                await self.observe(thought, failed)
        return None

    def traced(self) -> Span:
        """Where there are traces, put what is done inside under the agent's name."""
        attributes = {"gen_ai.operation.name": "invoke_agent", **self._conversation()}
        name = "invoke_agent"
        if self._agent in AGENTS:  # else it is anybody's text
            attributes["gen_ai.agent.name"] = self._agent
            name = f"invoke_agent {self._agent}"
        self._span = SPANS.span(name, attributes=attributes)
        return self._span

    def _conversation(self) -> dict[str, str]:
        """The thread, as traces name it, once there is one."""
        thread = self._thread.thread
        return {"gen_ai.conversation.id": str(thread)} if thread else {}

    async def think(self) -> Thought:
        """Ask the model what to do next, within what is left of the budget.

        Raises:
            BudgetExceededError: Nothing is left, or too little for another call.
        """
        return await within(self._budget, self._flow, self._ask)

    async def _ask(self, allowance: Allowance) -> Thought:
        self.round += 1
        with self._flow.step(f"{self.label}think {self.round}"):
            return await workflow.execute_activity_method(
                ThinkingActivities.think,
                ThinkInput(
                    agent=self._agent,
                    head=self._thread.head,
                    task=self._task,
                    thread=self._thread.thread,
                    **vars(allowance),
                    user_id=self._user_id,
                ),
                activity_id=f"{self.label}think-{self.round}",
                task_queue=queue_of(self._agent),
                start_to_close_timeout=policies.MODEL_CALL_TIMEOUT,
                schedule_to_close_timeout=policies.MODEL_CALL_IN_ALL,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.MODEL_CALL,
                summary=f"think, round {self.round}",
            )

    async def act(self, thought: Thought) -> tuple[FailedCall, ...]:
        """Run the calls of a thought side by side; say which left no observation, and why."""
        runs = [
            self._calls.run(thought.message, self.round, index, call)
            for index, call in enumerate(thought.calls)
        ]
        failed = await asyncio.gather(*runs)
        return tuple(call for call in failed if call is not None)

    async def observe(self, thought: Thought, failed: tuple[FailedCall, ...]) -> None:
        """Make what came of the calls part of the thread."""
        with self._flow.step(f"{self.label}observe {self.round}"):
            self._thread = await workflow.execute_local_activity_method(
                ConversationActivities.observe,
                ObserveInput(message=thought.message, calls=len(thought.calls), failed=failed),
                activity_id=f"{self.label}observe-{self.round}",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary=f"observe, round {self.round}",
            )

    async def conclude(self, answered: Thought | None, otherwise: str) -> int:
        """See that the thread ends with the agent's answer, or with another text instead of it.

        Each is stored once: the answer lies there since the agent gave it.

        Returns:
            The message that the thread ends with.
        """
        last = SaidMessage(role="assistant", stored=answered.message if answered else 0)
        if answered is None:
            last = last.model_copy(update={"content": otherwise})
        with self._flow.step("save messages"):
            self._thread = await workflow.execute_activity_method(
                ConversationActivities.save_messages,
                SaveMessagesInput(
                    thread=self._thread.thread, head=self._thread.head, messages=(last,)
                ),
                activity_id=f"{self.label}save-messages",
                start_to_close_timeout=policies.DATABASE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
                retry_policy=policies.DATABASE,
                summary="see that the thread ends with the reply",
            )
        return self._thread.head
