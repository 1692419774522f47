"""A server that speaks OpenAI's API: how it is reached, and what its refusals mean.

The client never retries: Temporal does, with what the server said. The `openai` package is loaded
with the first server: that takes a second, which a command that asks no model need not wait for.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2

from durable_agents.clients.retry_after import retry_after
from durable_agents.models.errors import (
    ModelAuthenticationError,
    ModelQuotaError,
    ModelRequestError,
    ModelUnavailableError,
)

if TYPE_CHECKING:
    import openai

OPENAI_HOST = "api.openai.com"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CONNECT_TIMEOUT_S = 5
_TRANSIENT_STATUS = frozenset({408, 409, 429})


class OpenAIServer:
    """One server, and the connections to it.

    Args:
        base_url: The server's address up to `/v1`; empty means OpenAI itself.
        api_key: The key; servers that want none take any.
    """

    def __init__(self, *, base_url: str, api_key: str) -> None:
        import openai

        self.client = openai.AsyncOpenAI(
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
        self.is_openai = self.client.base_url.host == OPENAI_HOST
        self.address = str(self.client.base_url.copy_with(userinfo=b"")).rstrip("/")
        url = self.client.base_url
        self.place = url.host, url.port or (443 if url.scheme == "https" else 80)
        self._secret = api_key

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    @contextmanager
    def named_failures(self) -> Generator[None]:
        """Name what fails of a call by what can be done about it.

        Raises:
            ModelUnavailableError: 408, 409, 429, 5xx, no connection, or no answer in time.
            ModelAuthenticationError: The key is not accepted.
            ModelQuotaError: The account has no credit left.
            ModelRequestError: Any other refusal.
        """
        import openai

        try:
            yield
        except TimeoutError as error:
            raise self._too_slow() from error
        except openai.OpenAIError as error:
            raise self._named(error) from error

    def _named(self, error: "openai.OpenAIError") -> Exception:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return self._too_slow()
        if isinstance(error, openai.APIStatusError):
            return self._named_status(error)
        if isinstance(error, openai.APIConnectionError):
            return ModelUnavailableError(
                f"The model at {self.address} cannot be reached. "
                "Check OPENAI_BASE_URL and that the server runs."
            )
        return ModelUnavailableError(f"The model at {self.address} failed: {error}")

    def _too_slow(self) -> ModelUnavailableError:
        return ModelUnavailableError(f"The model at {self.address} did not answer in time.")

    def _named_status(self, error: "openai.APIStatusError") -> Exception:
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

    def _said_by(self, error: "openai.APIStatusError") -> str:
        """The server's own words, at most 300 characters of them, without our key."""
        said = str(error.message)
        body: object = error.body
        if isinstance(body, Mapping):
            message: object = dict[str, object](body).get("message")  # pyright: ignore[reportUnknownArgumentType] - any JSON
            if isinstance(message, str):
                said = message
        return (said.replace(self._secret, "[key]") if self._secret else said)[:300]
