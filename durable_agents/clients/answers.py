"""What the answers and silences of a web service mean, as errors of the project's tree."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2

from durable_agents.clients.retry_after import retry_after
from durable_agents.models.errors import HttpStatusError, ServiceUnavailableError

TRANSIENT = frozenset({408, 425, 429})  # beside 5xx


def raise_for_status(status: int, headers: Mapping[str, str], url: httpx2.URL) -> None:
    """Raise what an answer other than 2xx means.

    Raises:
        ServiceUnavailableError: 408, 425, 429 or 5xx; with the delay that the server named.
        HttpStatusError: Any other.
    """
    if 200 <= status < 300:
        return
    message = f"HTTP {status} from {shown(url)}"
    if status in TRANSIENT or status >= 500:
        raise ServiceUnavailableError(message, retry_after=retry_after(headers, datetime.now(UTC)))
    raise HttpStatusError(message)


@asynccontextmanager
async def named_failures(url: httpx2.URL) -> AsyncGenerator[None]:
    """Raise what a connection raises, and a time that ran out, as `ServiceUnavailableError`."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise ServiceUnavailableError(f"{shown(url)} did not answer in time.") from error
    except httpx2.RequestError as error:
        # What the system says of the network. Other errors may quote the server, and what a
        # server says reaches a model as text from outside only.
        said = str(error) if isinstance(error, httpx2.NetworkError) else ""
        reason = said or type(error).__name__
        raise ServiceUnavailableError(f"{shown(url)} cannot be read: {reason}") from error


def shown(url: httpx2.URL) -> str:
    """An address as errors may show it.

    Without credentials and query, which can be secrets; encoded, so that it reads as nothing else.
    """
    where = url.netloc + url.raw_path.partition(b"?")[0]
    return f"{url.scheme}://{where.decode('ascii')}"[:200]
