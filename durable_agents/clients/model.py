"""The one path to a language model: Chat Completions through the `openai` client.

Chat Completions is what OpenAI, vLLM, Ollama, llama.cpp and most gateways speak. The client
never retries: Temporal does, with what the server said. Requests are posted as plain data and
answers are read by the small models below, because the client's own transformation of typed
messages grows with the conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import openai
from pydantic import BaseModel, ValidationError

from durable_agents.clients.retry_after import retry_after
from durable_agents.models.errors import (
    ModelAuthenticationError,
    ModelQuotaError,
    ModelRequestError,
    ModelUnavailableError,
)

DEFAULT_OPENAI_MODEL = "gpt-5-mini"
OPENAI_HOST = "api.openai.com"
CONNECT_TIMEOUT_S = 5
MAX_ANSWER_CHARS = 200_000
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


@dataclass(frozen=True)
class RequestedCall:
    """A tool call as the model wrote it; `arguments` is JSON text, not yet checked."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ChatAnswer:
    """What the model said. `cut` tells that it ran into the limit of tokens."""

    text: str
    calls: tuple[RequestedCall, ...]
    cut: bool
    refusal: str
    model: str
    input_tokens: int
    output_tokens: int


class _Function(BaseModel):
    name: str = ""
    arguments: str | None = None


class _Call(BaseModel):
    id: str | None = None
    function: _Function = _Function()


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str = ""
    usage: _Tokens | None = None


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
            ),
        )
        self._is_openai = self._client.base_url.host == OPENAI_HOST
        self._default = model or (DEFAULT_OPENAI_MODEL if self._is_openai else "")
        self.address = str(self._client.base_url).rstrip("/")

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
            response = await self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=self._body(request),
                options={"timeout": httpx2.Timeout(request.timeout_s, connect=CONNECT_TIMEOUT_S)},
            )
        except openai.OpenAIError as error:
            raise self._named(error) from error
        return self._answer(response.content, request.model)

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

    def _answer(self, content: bytes, model: str) -> ChatAnswer:
        """Read a chat completion."""
        try:
            completion = _Completion.model_validate_json(content)
            choice = completion.choices[0]
        except (ValidationError, IndexError) as error:
            raise ModelUnavailableError(
                f"{self.address} answered with something that is not a chat completion; "
                "it is asked again. If that stays so, check OPENAI_BASE_URL."
            ) from error
        said, tokens = choice.message, completion.usage or _Tokens()
        return ChatAnswer(
            text=(said.content or "")[:MAX_ANSWER_CHARS],
            calls=tuple(
                RequestedCall(
                    call_id=call.id or f"call_{place}",
                    name=call.function.name,
                    arguments=call.function.arguments or "{}",
                )
                for place, call in enumerate(said.tool_calls or ())
            ),
            cut=choice.finish_reason == "length",
            refusal=said.refusal or "",
            model=completion.model or model,
            input_tokens=tokens.prompt_tokens,
            output_tokens=tokens.completion_tokens,
        )

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
        status, said = error.status_code, _said_by(error)
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


def _said_by(error: openai.APIStatusError) -> str:
    """The server's own words, at most 300 characters of them."""
    body: object = error.body
    if isinstance(body, Mapping):
        message: object = dict[str, object](body).get("message")  # pyright: ignore[reportUnknownArgumentType] - any JSON
        if isinstance(message, str):
            return message[:300]
    return str(error.message)[:300]
