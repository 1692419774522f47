"""Asking a model on behalf of an agent: its models in order, its limits, what calls cost.

An answer that cannot be used is asked for again with the reason, twice at most. Every attempt
leaves a row of usage, also one that failed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from durable_agents.agent.budget import Allowance
from durable_agents.agent.context import estimate_tokens
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.prices import Prices
from durable_agents.clients.model import ChatAnswer, ChatRequest
from durable_agents.db.engine import Database
from durable_agents.db.usage import CallRecord, record_call
from durable_agents.models.errors import (
    BudgetExceededError,
    ConfigurationError,
    DurableAgentsError,
    ModelOutputError,
    ModelRequestError,
)
from durable_agents.models.status import Usage

ASK_AGAIN = 2
MIN_OUTPUT_TOKENS = 16


class ChatModel(Protocol):
    """What can be asked."""

    async def default_model(self) -> str:
        """The model to use when an agent names none."""
        ...

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask once."""
        ...


@dataclass(frozen=True)
class CallSite:
    """Where a model call stands: the workflow, the run, the step, the attempt, for whom."""

    workflow_id: str
    run_id: str
    step: str
    attempt: int
    user_id: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked.

    `complaint` says what is wrong with an answer, or returns an empty text.
    """

    messages: Sequence[dict[str, Any]]
    complaint: Callable[[ChatAnswer], str]
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True)
class Asked:
    """A usable answer, what all attempts used, and their rows, which are still to be stored."""

    answer: ChatAnswer
    usage: Usage
    records: tuple[CallRecord, ...]


class Asker:
    """Asks models for agents.

    Args:
        model: The client.
        database: Where the usage of failed calls is recorded.
        prices: What tokens cost.
    """

    def __init__(self, model: ChatModel, database: Database, prices: Prices) -> None:
        self._model = model
        self._database = database
        self._prices = prices

    async def ask(self, agent: AgentDefinition, question: Question, site: CallSite) -> Asked:
        """Ask the agent's models in order of preference, the next when one fails for good.

        Raises:
            ModelUnavailableError: Another try may help.
            ModelRequestError: The last model's server refuses.
            ModelOutputError: The last model's answer stays unusable.
            BudgetExceededError: What is left does not suffice for an answer.
        """
        records: list[CallRecord] = []
        models = agent.models or (await self._model.default_model(),)
        try:
            for place, model in enumerate(models):
                try:
                    answer = await self._ask_model(model, agent, question, site, records)
                except (ModelRequestError, ModelOutputError):
                    if place + 1 == len(models):
                        raise
                else:
                    return Asked(answer, _total(records), tuple(records))
            raise ModelRequestError(f"Agent {agent.name} names no model.")
        except DurableAgentsError:
            await self._store(records)
            raise

    async def _ask_model(
        self,
        model: str,
        agent: AgentDefinition,
        question: Question,
        site: CallSite,
        records: list[CallRecord],
    ) -> ChatAnswer:
        """Ask one model until its answer is usable, three times at most."""
        messages = list(question.messages)
        wrong = ""
        for _ in range(1 + ASK_AGAIN):
            request = ChatRequest(
                model=model,
                messages=messages,
                max_output_tokens=self._output_limit(model, agent, question, messages, records),
                timeout_s=agent.limits.call_timeout.total_seconds(),
                tools=question.tools,
                response_format=question.response_format,
            )
            answer = await self._attempt(request, agent, site, records)
            wrong = question.complaint(answer)
            if not wrong:
                return answer
            said = {"role": "assistant", "content": answer.text[:2000] or "(nothing)"}
            messages = [*question.messages, said, {"role": "user", "content": wrong}]
        raise ModelOutputError(
            f"Model {model} gave no usable answer in {1 + ASK_AGAIN} tries: {wrong}"
        )

    async def _attempt(
        self,
        request: ChatRequest,
        agent: AgentDefinition,
        site: CallSite,
        records: list[CallRecord],
    ) -> ChatAnswer:
        """Ask once and note what it used."""
        started = time.perf_counter()
        try:
            answer = await self._model.chat(request)
        except DurableAgentsError as error:
            records.append(
                self._record(request, agent, site, started, outcome=type(error).__name__)
            )
            raise
        records.append(self._record(request, agent, site, started, outcome="ok", answer=answer))
        return answer

    def _record(
        self,
        request: ChatRequest,
        agent: AgentDefinition,
        site: CallSite,
        started: float,
        *,
        outcome: str,
        answer: ChatAnswer | None = None,
    ) -> CallRecord:
        """The row of one attempt."""
        used_in = answer.input_tokens if answer else 0
        used_out = answer.output_tokens if answer else 0
        return CallRecord(
            **vars(site),
            agent=agent.name,
            model=request.model,
            outcome=outcome,
            input_tokens=used_in,
            output_tokens=used_out,
            cost_usd=self._prices.cost(request.model, used_in, used_out),
            latency_ms=round((time.perf_counter() - started) * 1000),
        )

    def _output_limit(
        self,
        model: str,
        agent: AgentDefinition,
        question: Question,
        messages: Sequence[dict[str, Any]],
        records: Sequence[CallRecord],
    ) -> int:
        """How many tokens the answer may have within what is left of the allowance."""
        allowance = question.allowance
        limit = agent.limits.output_tokens
        if not allowance.max_tokens and not allowance.max_cost_usd:
            return limit
        spent = _total(records)
        asked = estimate_tokens(messages, sum(len(str(tool)) for tool in question.tools))
        if allowance.max_tokens:
            used = spent.input_tokens + spent.output_tokens
            limit = min(limit, allowance.max_tokens - used - asked)
        if allowance.max_cost_usd:
            price = self._prices.of(model)
            if price is None:
                raise ConfigurationError(
                    f"A budget in US dollars needs the price of {model}. "
                    f"Set MODEL_PRICES={model}=INPUT/OUTPUT (US dollars for a million tokens)."
                )
            left = allowance.max_cost_usd - spent.cost_usd - asked * price[0] / 1_000_000
            if price[1]:
                limit = min(limit, int(left / price[1] * 1_000_000))
        if limit < MIN_OUTPUT_TOKENS:
            raise BudgetExceededError(
                "What is left of the budget does not suffice for another model call "
                f"(about {asked} tokens go in). Raise max_tokens or max_cost_usd to go further."
            )
        return limit

    async def _store(self, records: Sequence[CallRecord]) -> None:
        """Record the usage of a question that failed."""
        async with self._database.transaction() as connection:
            for record in records:
                await record_call(connection, record)


def _total(records: Sequence[CallRecord]) -> Usage:
    """What some attempts used together; calls that got no answer count as calls."""
    return Usage(
        input_tokens=sum(record.input_tokens for record in records),
        output_tokens=sum(record.output_tokens for record in records),
        cost_usd=sum(record.cost_usd for record in records),
        calls=len(records),
    )
