"""The one path to a language model: Chat Completions through the `openai` client.

Chat Completions is what OpenAI, vLLM, Ollama, llama.cpp and most gateways speak. The client
never retries: Temporal does, with what the server said. Requests are posted as plain data and
answers are read by small models of our own, because the client's own transformation of typed
messages grows with the conversation.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from durable_agents.clients.completion import ChatAnswer, read_answer
from durable_agents.clients.model_spans import model_span, tell_answer, tell_question
from durable_agents.clients.openai_server import CONNECT_TIMEOUT_S, OpenAIServer
from durable_agents.models.errors import ModelRequestError, ModelUnavailableError

DEFAULT_OPENAI_MODEL = "gpt-5-mini"


@dataclass(frozen=True)
class ChatRequest:
    """One call: messages, tools and response format in the form of the API; timeout in seconds.

    `agent` is the name of who asks, `thread` the conversation, if any.
    """

    model: str
    messages: list[dict[str, Any]]
    max_output_tokens: int
    timeout_s: float
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None
    agent: str = ""
    thread: int = 0


class ModelClient:
    """Talks to one server that speaks OpenAI's API; one for each process.

    Args:
        base_url: The server's address up to `/v1`; empty means OpenAI itself.
        api_key: The key; servers that want none take any.
        model: The default model; empty means the first that the server lists.
    """

    def __init__(self, *, base_url: str, api_key: str, model: str = "") -> None:
        self._server = OpenAIServer(base_url=base_url, api_key=api_key)
        self._client = self._server.client
        self._default = model or (DEFAULT_OPENAI_MODEL if self._server.is_openai else "")
        self.address = self._server.address

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def default_model(self) -> str:
        """The configured model, else the first that the server lists.

        Raises:
            ModelUnavailableError: The server does not answer.
            ModelRequestError: It refuses, or lists none.
        """
        if not self._default:
            models = await self.list_models()
            if not models:
                raise ModelRequestError(
                    f"{self.address} lists no model. Set OPENAI_MODEL to the one to use."
                )
            self._default = models[0]
        return self._default

    async def list_models(self) -> list[str]:
        """The names of the models that the server offers.

        Raises:
            ModelUnavailableError: The server does not answer.
            ModelRequestError: It refuses.
        """
        with self._server.named_failures():
            page = await self._client.models.list()
        return [model.id for model in page.data]

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask once.

        Raises:
            ModelUnavailableError: 408, 409, 429, 5xx, no connection, no answer in time, or an
                answer that is not a chat completion.
            ModelAuthenticationError: The key is not accepted.
            ModelQuotaError: The account has no credit left.
            ModelRequestError: Any other refusal.
        """
        place, limit = self._server.place, request.max_output_tokens
        form = request.response_format is not None
        with model_span(
            "chat",
            request.model,
            place,
            agent=request.agent,
            thread=request.thread,
            limit=limit,
            as_object=form,
        ) as span:
            tell_question(span, request.messages)
            answer = await self._chat(request)
            tell_answer(span, answer)
        return answer

    async def _chat(self, request: ChatRequest) -> ChatAnswer:
        timeout = httpx2.Timeout(request.timeout_s, connect=CONNECT_TIMEOUT_S)
        with self._server.named_failures():
            async with asyncio.timeout(request.timeout_s):  # the client's own is for each read
                response = await self._client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=self._body(request),
                    options={"timeout": timeout},
                )
        try:
            return read_answer(response.content, request.model)
        except (ValueError, IndexError) as error:
            raise ModelUnavailableError(
                f"{self.address} answered with something that is not a chat completion; "
                "another try may go well. If it stays so, check OPENAI_BASE_URL."
            ) from error

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        """The request as the API wants it."""
        limit = "max_completion_tokens" if self._server.is_openai else "max_tokens"
        body: dict[str, Any] = {
            "model": request.model,
            "messages": request.messages,
            limit: request.max_output_tokens,
        }
        if request.tools:
            body["tools"] = request.tools
        if request.response_format is not None:
            body["response_format"] = request.response_format
        return body
