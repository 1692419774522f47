"""Reading text from the world: any address that a model or a person names, and none inside."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta

import httpx2

from durable_agents.clients.addresses import Resolver, SystemResolver
from durable_agents.clients.answers import named_failures, raise_for_status, shown
from durable_agents.clients.guard import GuardedTransport
from durable_agents.models.errors import (
    ForbiddenAddressError,
    HttpStatusError,
    ResponseTooLargeError,
)

MAX_BYTES = 2_000_000
MAX_REDIRECTS = 5
DEADLINE = timedelta(seconds=30)  # for all of it, so that a server that drips for ever ends
TIMEOUT = httpx2.Timeout(10, connect=5)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = {"User-Agent": "durable-agents/0.1", "Accept": "text/*, application/json, */*;q=0.5"}

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
# Encodings that pages have. Python knows others that take quadratic time, or are no encodings.
_ENCODING = re.compile(
    r"(utf|iso|latin|ascii|us-ascii|windows|cp|koi8|gb|big5|shift|euc|mac)[\w-]*", re.IGNORECASE
)


@dataclass(frozen=True)
class FetchedPage:
    """An answer of 2xx, read to its end.

    Attributes:
        url: Where it came from at last, after redirects.
        status: Its status.
        content_type: The media type in lower case, without parameters; empty when not usable.
        charset: What the server says of the encoding; empty when it says nothing.
        body: The bytes, after decompression.
    """

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as text: by the server's charset, else the page's own, else UTF-8."""
        found = CHARSET.search(self.body[:1024])
        named = self.charset or (found[1].decode("ascii", "replace") if found else "")
        if _ENCODING.fullmatch(named):
            try:
                return self.body.decode(named, "replace")
            except LookupError:
                pass
        return self.body.decode("utf-8-sig", "replace")


async def fetch(
    url: str,
    *,
    allow: frozenset[str] = frozenset(),
    only: frozenset[str] = frozenset(),
    max_bytes: int = MAX_BYTES,
    deadline: timedelta = DEADLINE,
    resolver: Resolver | None = None,
) -> FetchedPage:
    """GET a page, following redirects, within the bounds of this module.

    Proxies and cookies play no part: every call has a client of its own.

    Args:
        url: An http or https address.
        allow: Exact `host:port` pairs that may be reached although they are not public.
        only: Hosts that alone may be reached, as `GuardedTransport` takes them.
        max_bytes: The longest body, after decompression.
        deadline: The longest that all of it may take.
        resolver: Who turns names into addresses; the operating system when left out.

    Raises:
        ForbiddenAddressError: It, or a redirect, leads where fetching may not go.
        InputError: There is no such host.
        HttpStatusError: The answer is not 2xx, and trying again cannot help.
        ResponseTooLargeError: The body is longer than `max_bytes`.
        ServiceUnavailableError: 408, 425, 429, 5xx, no connection, or not done in time.
    """
    try:
        target = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise ForbiddenAddressError(f"{url[:200]!r} is not a web address: {error}.") from error
    client = httpx2.AsyncClient(
        transport=GuardedTransport(allow, resolver or SystemResolver(), only),
        trust_env=False,
        timeout=TIMEOUT,
        headers=HEADERS,
    )
    async with named_failures(target), asyncio.timeout(deadline.total_seconds()), client:
        return await _follow(client, target, max_bytes)


async def _follow(client: httpx2.AsyncClient, url: httpx2.URL, max_bytes: int) -> FetchedPage:
    for _ in range(MAX_REDIRECTS + 1):
        async with client.stream("GET", url) as response:
            if response.status_code not in REDIRECTS or "location" not in response.headers:
                raise_for_status(response.status_code, response.headers, url)
                return await _read(response, max_bytes)
            url = _next_url(url, response.headers["location"])
    raise HttpStatusError(f"{shown(url)} was redirected more than {MAX_REDIRECTS} times.")


def _next_url(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return url.join(location)
    except httpx2.InvalidURL as error:
        raise ForbiddenAddressError(
            f"{shown(url)} redirects to what is not a web address."
        ) from error


async def _read(response: httpx2.Response, max_bytes: int) -> FetchedPage:
    too_large = ResponseTooLargeError(
        f"{shown(response.url)} is larger than the {max_bytes:,} bytes that are read at most."
    )
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    body = bytearray()
    async for part in response.aiter_bytes():  # at most 1 MiB each, whatever was compressed
        body += part
        if len(body) > max_bytes:
            raise too_large
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return FetchedPage(
        url=str(response.url),
        status=response.status_code,
        content_type=kind if _MEDIA_TYPE.fullmatch(kind) else "",
        charset=response.charset_encoding or "",
        body=bytes(body),
    )
