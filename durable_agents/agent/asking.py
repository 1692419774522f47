"""Asking a model on behalf of an agent: its models in order, its limits, what calls cost.

An answer that cannot be used is asked for again with the reason, twice at most. Every attempt
leaves a row of usage, also one that failed.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from durable_agents.agent.allowance import going_in, left_of, output_limit
from durable_agents.agent.answer_lengths import AnswerLengths
from durable_agents.agent.daily_limits import Planned, TenantDays, within_the_day
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.patience import PATIENCE, after_failure
from durable_agents.agent.prices import Prices
from durable_agents.agent.question import Question
from durable_agents.agent.quotas import Quotas
from durable_agents.agent.sites import CallSite, CallWatch, total_of, unwatched
from durable_agents.clients.completion import ChatAnswer
from durable_agents.clients.model import ChatRequest
from durable_agents.db.engine import Database
from durable_agents.db.threads import Step
from durable_agents.db.usage import CallRecord, failures_of_step, record_call, usage_of_step
from durable_agents.models.errors import (
    DurableAgentsError,
    ModelOutputError,
    ModelRequestError,
    ModelUnavailableError,
    QuotaSizeError,
    QuotaWaitError,
)
from durable_agents.models.status import Usage

ASK_AGAIN = 2


class ChatModel(Protocol):
    """What can be asked."""

    async def default_model(self) -> str:
        """The model to use when an agent names none."""
        ...

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask once."""
        ...


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
        quotas: What limits the calls; nothing when left out.
        days: What limits what tenants spend in a day; nothing when left out.
        watch: Is told of every attempt.
    """

    def __init__(
        self,
        model: ChatModel,
        database: Database,
        prices: Prices,
        quotas: Quotas | None = None,
        days: TenantDays | None = None,
        *,
        watch: CallWatch | None = None,
    ) -> None:
        self._model = model
        self._database = database
        self._prices = prices
        self._quotas = quotas or Quotas(database)
        self._days = days
        self._watch = watch or unwatched
        self._lengths = AnswerLengths()

    async def ask(self, agent: AgentDefinition, question: Question, site: CallSite) -> Asked:
        """Ask the agent's models in order of preference, the next when one fails for good.

        One that cannot be reached is asked again by the next attempts; from the third failure
        on the next model takes its place. A quota of our own that is used up is waited for; a
        wait that the provider asked for counts from the third attempt on as a failure does.

        Raises:
            ModelUnavailableError: Another try may help.
            QuotaWaitError: The quota is used up for longer than an activity waits.
            ModelOutageError: The models could not be reached eight times in a row.
            ModelRequestError: Every model failed, the last because its server refuses.
            ModelOutputError: Every model failed, the last because its answer stays unusable.
            BudgetExceededError: What is left, or the tenant's day, does not suffice for an answer.
        """
        records: list[CallRecord] = []
        spent, failures = await self._before(site, question)
        models = agent.models or (await self._model.default_model(),)
        try:
            question = replace(question, allowance=left_of(question.allowance, spent))
            answer = await self._first_answer(
                models, agent, question, site, records, failures=failures
            )
        except asyncio.CancelledError:
            await asyncio.shield(self._store(records))
            raise
        except DurableAgentsError as error:
            await asyncio.shield(self._store(records))
            named = error
            if isinstance(error, ModelUnavailableError):
                named = after_failure(error, failures + 1, site.attempt)
            named.usage = spent + total_of(records)
            if named is error:
                raise  # `from error` would make it its own cause
            raise named from error
        return Asked(answer, spent + total_of(records), tuple(records))

    async def _first_answer(
        self,
        models: Sequence[str],
        agent: AgentDefinition,
        question: Question,
        site: CallSite,
        records: list[CallRecord],
        *,
        failures: int,
    ) -> ChatAnswer:
        """The answer of the first model that gives one."""
        *others, last = models
        reasons: list[str] = []
        for model in others:
            try:
                return await self._ask_model(model, agent, question, site, records)
            except ModelUnavailableError as error:
                if failures + 1 < PATIENCE:
                    raise
                reasons.append(error.message)
            except QuotaWaitError as error:
                if not error.held or site.attempt < PATIENCE:
                    raise
                reasons.append(error.message)
            except (ModelRequestError, ModelOutputError, QuotaSizeError) as error:
                reasons.append(error.message)
        try:
            return await self._ask_model(last, agent, question, site, records)
        except (ModelRequestError, ModelOutputError) as error:
            if not reasons:
                raise
            raise type(error)(
                f"{error.message} The models before it failed as well: {' '.join(reasons)}"
            ) from None

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
            asked = question.estimate(messages)
            room = left_of(question.allowance, total_of(records))
            request = ChatRequest(
                model=model,
                messages=messages,
                max_output_tokens=output_limit(
                    room, agent.limits.output_tokens, asked, model, self._prices
                ),
                timeout_s=agent.limits.call_timeout.total_seconds(),
                tools=question.tools,
                response_format=question.response_format,
                agent=agent.name,
                thread=question.thread,
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
        """Ask once, when it is its turn and within the tenant's day, and note what it used."""
        planned = Planned(
            tenant=site.payer,
            caller=site.caller,
            model=request.model,
            timeout=agent.limits.call_timeout,
            output_tokens=request.max_output_tokens,
            estimate=lambda: going_in(request),
        )
        async with (
            within_the_day(self._days, planned) as day,
            self._quotas.turn(
                agent.quota, request.model, lambda: self._lengths.size(agent.name, request)
            ) as spent,
        ):
            started = time.perf_counter()
            row = partial(
                site.record, self._prices, agent=agent.name, model=request.model, started=started
            )
            day.asked = True
            within = replace(request, max_output_tokens=day.output_tokens)
            answer = await self._told(within, row, records)
            used = answer.input_tokens, answer.output_tokens
            day.input_used, day.output_used = used
            spent.tokens = sum(used)
            self._lengths.note(agent.name, request.model, answer.output_tokens)
        records.append(row(outcome="ok", used=used))
        self._watch(records[-1])
        return answer

    async def _told(
        self, request: ChatRequest, row: Callable[..., CallRecord], records: list[CallRecord]
    ) -> ChatAnswer:
        try:
            return await self._model.chat(request)
        except DurableAgentsError as error:
            records.append(row(outcome=type(error).__name__))
            self._watch(records[-1])
            raise
        except asyncio.CancelledError:
            self._watch(row(outcome="cancelled"))
            raise

    async def _before(self, site: CallSite, question: Question) -> tuple[Usage, int]:
        """What the step has used before, and how many attempts failed since an answer."""
        if site.attempt == 1 and not question.asked_before:
            return Usage(), 0
        step = Step(site.run_id, site.step)
        async with self._database.statement() as connection:
            used = await usage_of_step(connection, step)
            return used, await failures_of_step(connection, step)

    async def _store(self, records: Sequence[CallRecord]) -> None:
        """Record the usage of a question that failed."""
        if not records:
            return
        async with self._database.transaction() as connection:
            for record in records:
                await record_call(connection, record)
