"""Touches the model: one call of an agent without tools, for text or for a typed object."""

from dataclasses import replace

from temporalio import activity

from activities.call_site import call_site
from activities.thinking import spoken
from durable_agents.agent.asking import Asked, Asker
from durable_agents.agent.budget import Allowance
from durable_agents.agent.catalogue import get_agent
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.output import complaint_of, parse_output, response_format
from durable_agents.agent.question import Question
from durable_agents.agent.toolbox import fenced
from durable_agents.db.engine import Database
from durable_agents.db.threads import find_message
from durable_agents.db.usage import record_calls
from durable_agents.models.conversation import GeneratedObject, GeneratedText, GenerateInput
from durable_agents.models.errors import ConfigurationError


class GenerationActivities:
    """Generate text, generate an object."""

    def __init__(self, asker: Asker, database: Database) -> None:
        self._asker = asker
        self._database = database

    @activity.defn(name="generate_text")
    async def generate_text(self, request: GenerateInput) -> GeneratedText:
        """Let an agent write; an empty text means that it has nothing to say.

        Raises:
            UnknownAgentError: No agent of this name is in the catalogue.
            NotFoundError: A message to quote is not there.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            BudgetExceededError: What is left does not suffice for a call.
        """
        agent = get_agent(request.agent)
        messages = await self._messages(agent, request)
        asked = await self._ask(agent, request, Question(messages, _anything))
        text = spoken(asked.answer).strip()
        return GeneratedText(text=text, model=asked.answer.model, usage=asked.usage)

    @activity.defn(name="generate_object")
    async def generate_object(self, request: GenerateInput) -> GeneratedObject:
        """Let an agent fill in an object of its output type.

        Raises:
            UnknownAgentError: No agent of this name is in the catalogue.
            ConfigurationError: The agent has no output type.
            NotFoundError: A message to quote is not there.
            ModelOutputError: No answer fits the type, also after it was asked again.
            ModelUnavailableError: Another try may help.
            ModelRequestError: The model's server refuses for good.
            BudgetExceededError: What is left does not suffice for a call.
        """
        agent = get_agent(request.agent)
        if agent.output_type is None:
            raise ConfigurationError(f"Agent {agent.name} has no output type. Give it one.")
        output_type = agent.output_type
        question = Question(
            await self._messages(agent, request),
            lambda answer: complaint_of(output_type, answer),
            response_format=response_format(output_type),
        )
        asked = await self._ask(agent, request, question)
        value = parse_output(output_type, asked.answer).model_dump(mode="json")
        return GeneratedObject(value=value, model=asked.answer.model, usage=asked.usage)

    async def _messages(
        self, agent: AgentDefinition, request: GenerateInput
    ) -> list[dict[str, str]]:
        """The instructions and the prompt, with the messages it quotes."""
        parts = [request.prompt]
        for quoted in request.quoted:
            async with self._database.statement() as connection:
                said = await find_message(connection, quoted.message)
            limit = agent.limits.context_chars // len(request.quoted)
            parts.append(fenced(quoted.source, said.content, limit=limit))
        return [
            {"role": "system", "content": agent.instructions},
            {"role": "user", "content": "\n\n".join(parts)},
        ]

    async def _ask(
        self, agent: AgentDefinition, request: GenerateInput, question: Question
    ) -> Asked:
        """Ask within the allowance and record what it used."""
        question = Question(
            question.messages,
            question.complaint,
            response_format=question.response_format,
            allowance=Allowance(request.max_tokens, request.max_cost_usd, request.max_calls),
        )
        asked = await self._asker.ask(agent, question, call_site(request.user_id))
        async with self._database.transaction() as connection:
            usage = await record_calls(connection, asked.records)
        return replace(asked, usage=usage)


def _anything(_: object) -> str:
    """Any answer will do, also an empty one."""
    return ""
