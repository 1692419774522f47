"""Touches any address of the public web that a person names, and the table of drafts."""

from temporalio import activity

from activities.call_site import step_of
from durable_agents.agent.page_text import raw_text
from durable_agents.clients.http import fetch
from durable_agents.db.drafts import BODY, get_draft, save_draft
from durable_agents.db.engine import Database
from durable_agents.db.storable import storable
from durable_agents.models.external_call import SHOWN_CHARS, FetchedBody


class ExternalCallActivities:
    """Calls to addresses that are not known beforehand.

    Args:
        database: Where a long body is kept.
        allow: Exact `host:port` pairs that may be reached although they are not public.
        only: Hosts that alone may be reached; any public one when there are none.
    """

    def __init__(
        self, database: Database, allow: frozenset[str], only: frozenset[str] = frozenset()
    ) -> None:
        self._database = database
        self._allow = allow
        self._only = only

    @activity.defn(name="fetch_body")
    async def fetch_body(self, url: str) -> FetchedBody:
        """GET an address and read what it answers, as text; a long text is kept by reference.

        Raises:
            ForbiddenAddressError: It, or a redirect, leads where fetching may not go.
            InputError: There is no such host, or the body is not text.
            HttpStatusError: The answer is not 2xx, and trying again cannot help.
            ResponseTooLargeError: The body is too large.
            ServiceUnavailableError: 408, 425, 429, 5xx, no connection, or not done in time.
        """
        page = await fetch(url, allow=self._allow, only=self._only)
        text = storable(raw_text(page))
        draft = 0
        if len(text) > SHOWN_CHARS:
            async with self._database.statement() as connection:
                draft = await save_draft(connection, step_of(), kind=BODY, content=text)
                text = (await get_draft(connection, draft, kind=BODY)).content
        return FetchedBody(
            url=page.url[:2000],
            status=page.status,
            content_type=page.content_type,
            body=text[:SHOWN_CHARS],
            chars=len(text),
            draft=draft,
        )
