"""The one path to a language model: Chat Completions through the `openai` client.

Chat Completions is what OpenAI, vLLM, Ollama, llama.cpp and most gateways speak. The client
never retries: Temporal does, with what the server said. Requests are posted as plain data and
answers are read by the small models below, because the client's own transformation of typed
messages grows with the conversation.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai

from durable_agents.clients.completion import ChatAnswer, read_answer
from durable_agents.clients.retry_after import retry_after
from durable_agents.models.errors import (
    ModelAuthenticationError,
    ModelQuotaError,
    ModelRequestError,
    ModelUnavailableError,
)

DEFAULT_OPENAI_MODEL = "gpt-5-mini"
OPENAI_HOST = "api.openai.com"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CONNECT_TIMEOUT_S = 5
_TRANSIENT_STATUS = frozenset({408, 409, 429})


@dataclass(frozen=True)
class ChatRequest:
    """One call: messages, tools and response format in the form of the API; timeout in seconds."""

    model: str
    messages: list[dict[str, Any]]
    max_output_tokens: int
    timeout_s: float
    tools: tuple[Mapping[str, Any], ...] = ()
    response_format: Mapping[str, Any] | None = None


class ModelClient:
    """Talks to one server that speaks OpenAI's API; one for each process.

    Args:
        base_url: The server's address up to `/v1`; empty means OpenAI itself.
        api_key: The key; servers that want none take any.
        model: The default model; empty means the first that the server lists.
    """

    def __init__(self, *, base_url: str, api_key: str, model: str = "") -> None:
        self._client = openai.AsyncOpenAI(
            base_url=base_url or None,
            api_key=api_key or "none",
            max_retries=0,
            timeout=httpx2.Timeout(60, connect=CONNECT_TIMEOUT_S),
            http_client=httpx2.AsyncClient(
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
                timeout=httpx2.Timeout(60, connect=CONNECT_TIMEOUT_S),
                trust_env=httpx2.URL(base_url).host not in LOOPBACK,  # no proxy on the way to it
            ),
        )
        self._is_openai = self._client.base_url.host == OPENAI_HOST
        self._default = model or (DEFAULT_OPENAI_MODEL if self._is_openai else "")
        self.address = str(self._client.base_url.copy_with(userinfo=b"")).rstrip("/")
        self._secret = api_key

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

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
        try:
            page = await self._client.models.list()
        except openai.OpenAIError as error:
            raise self._named(error) from error
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
        try:
            async with asyncio.timeout(request.timeout_s):  # the client's own is for each read
                response = await self._client.post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    body=self._body(request),
                    options={
                        "timeout": httpx2.Timeout(request.timeout_s, connect=CONNECT_TIMEOUT_S)
                    },
                )
        except TimeoutError as error:
            raise ModelUnavailableError(
                f"The model at {self.address} did not answer in time."
            ) from error
        except openai.OpenAIError as error:
            raise self._named(error) from error
        try:
            return read_answer(response.content, request.model)
        except (ValueError, IndexError) as error:
            raise ModelUnavailableError(
                f"{self.address} answered with something that is not a chat completion; "
                "it is asked again. If that stays so, check OPENAI_BASE_URL."
            ) from error

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        """The request as the API wants it."""
        limit = "max_completion_tokens" if self._is_openai else "max_tokens"
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

    def _named(self, error: openai.OpenAIError) -> Exception:
        """Name a failure of the client by what can be done about it."""
        if isinstance(error, openai.APITimeoutError):
            return ModelUnavailableError(f"The model at {self.address} did not answer in time.")
        if isinstance(error, openai.APIStatusError):
            return self._named_status(error)
        if isinstance(error, openai.APIConnectionError):
            return ModelUnavailableError(
                f"The model at {self.address} cannot be reached. "
                "Check OPENAI_BASE_URL and that the server runs."
            )
        return ModelUnavailableError(f"The model at {self.address} failed: {error}")

    def _named_status(self, error: openai.APIStatusError) -> Exception:
        """Name an answer other than 2xx."""
        status, said = error.status_code, self._said_by(error)
        where = f"{self.address} answered {status}"
        if error.code == "insufficient_quota":
            return ModelQuotaError(f"{where}: no credit is left on the account. {said}")
        wanted = error.response.headers.get("x-should-retry")
        transient = status in _TRANSIENT_STATUS or status >= 500
        if wanted == "true" or (transient and wanted != "false"):
            delay = retry_after(error.response.headers, datetime.now(UTC))
            return ModelUnavailableError(f"{where}: {said}", retry_after=delay)
        if status in {401, 403}:
            return ModelAuthenticationError(f"{where}: check OPENAI_API_KEY. {said}")
        return ModelRequestError(f"{where}: {said}")

    def _said_by(self, error: openai.APIStatusError) -> str:
        """The server's own words, at most 300 characters of them, without our key."""
        said = str(error.message)
        body: object = error.body
        if isinstance(body, Mapping):
            message: object = dict[str, object](body).get("message")  # pyright: ignore[reportUnknownArgumentType] - any JSON
            if isinstance(message, str):
                said = message
        return (said.replace(self._secret, "[key]") if self._secret else said)[:300]
