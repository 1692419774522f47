"""The tool `fetch_url`: the text of a page of the public web."""

from datetime import timedelta

from pydantic import BaseModel, Field

from durable_agents.agent.html_text import WALL_SECONDS
from durable_agents.agent.page_text import page_text
from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened
from durable_agents.clients.http import DEADLINE, fetch

MAX_TEXT_CHARS = 18_000
"""With its address, its title and JSON's escapes it stays below what an observation may have."""


class FetchUrlArguments(ToolArguments):
    """Which page."""

    url: str = Field(min_length=1, max_length=2000, description="An http:// or https:// address.")


class PageContent(BaseModel):
    """A page as a model reads it; `text` ends by saying so where it was cut."""

    url: str
    title: str
    text: str


async def fetch_url(arguments: FetchUrlArguments, context: ToolContext) -> PageContent:
    """Fetch a page and read it.

    Raises:
        ForbiddenAddressError: It leads where fetching may not go.
        InputError: There is no such host, or the page is not text.
        HttpStatusError: The answer is 4xx.
        ResponseTooLargeError: The page is too large.
        ServiceUnavailableError: The server does not answer.
    """
    page = await fetch(arguments.url, allow=context.fetch_allow, only=context.fetch_only)
    content = await page_text(page)
    return PageContent(url=page.url, title=content.title[:300], text=_cut(content.text))


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARS:
        return text
    return f"{text[:MAX_TEXT_CHARS]}\n[cut: {MAX_TEXT_CHARS:,} of {len(text):,} characters]"


FETCH_URL = Tool(
    name="fetch_url",
    description=(
        "Read a web page: its address after redirects, its title and its text without markup. "
        "Reaches the public web only, and reads text only, no images or PDF."
    ),
    arguments=FetchUrlArguments,
    run=fetch_url,
    timeout=DEADLINE + timedelta(seconds=WALL_SECONDS + 5),
    untrusted=True,
    about=lambda arguments: shortened(arguments.url.partition("://")[2] or arguments.url),
)
