"""The text of a web page, whatever kind of text it is."""

from durable_agents.agent.bounded_child import UnreadableError
from durable_agents.agent.html_text import PageText, read_html
from durable_agents.clients.http import FetchedPage
from durable_agents.models.errors import InputError, ServiceUnavailableError

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/x-ndjson", ""}
)
TEXT_SUFFIXES = ("+json", "+xml")


def raw_text(page: FetchedPage) -> str:
    """The text of a page as it was sent, with its markup if it has any.

    Raises:
        InputError: It is not text.
    """
    where, kind = page.url.partition("?")[0][:200], page.content_type
    readable = kind.startswith("text/") or kind in TEXT_TYPES | HTML_TYPES
    if not readable and not kind.endswith(TEXT_SUFFIXES):
        raise InputError(f"{where} is {kind}, which is not text and cannot be read.")
    text = page.text
    if "\x00" in text:
        raise InputError(f"{where} is not text and cannot be read.")
    return text


async def page_text(page: FetchedPage) -> PageText:
    """Read a page: HTML without its markup, any other text as it is.

    Raises:
        InputError: It is not text, or HTML that cannot be read within bounds.
        ServiceUnavailableError: The machine is too busy to read it.
    """
    text = raw_text(page)
    where = page.url.partition("?")[0][:200]
    if page.content_type not in HTML_TYPES:
        return PageText(title="", text=text.strip())
    try:
        return await read_html(text)
    except UnreadableError as error:
        raise InputError(f"{where} takes more time or memory than reading it may.") from error
    except TimeoutError as error:
        raise ServiceUnavailableError(f"{where} was not read in time.") from error
