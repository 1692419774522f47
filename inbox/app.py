"""The application: its pages, what protects them, and what happens when something breaks."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from temporalio.converter import DataConverter

from durable_agents.db.denials import forget_old_denials
from durable_agents.db.engine import Database
from durable_agents.db.sign_in import LIMITS, Limits
from durable_agents.models.errors import TransientError
from durable_agents.runtime.converter import DATA_CONVERTER
from inbox.assets import Assets
from inbox.codec_pages import CodecPages
from inbox.denial_log import DenialLog
from inbox.middleware import HEALTH, Guard, add_headers
from inbox.pages import Pages
from inbox.request_pages import RequestPages
from inbox.requests import RequestStore
from inbox.sessions import Sessions
from inbox.sign_in_pages import SignInPages
from inbox.site import Site

AWAY = "The service cannot reach its database just now. Nothing was done; try again in a minute.\n"
BROKEN = "Something went wrong here, and nothing was done. Try again; the log says what it was.\n"
_LOG = logging.getLogger(__name__)


def create_app(
    *,
    site: Site,
    database: Database,
    store: RequestStore,
    signing_key: str,
    run_url: Callable[[str, str], str],
    limits: Limits = LIMITS,
    converter: DataConverter = DATA_CONVERTER,
    ui_url: str = "",
) -> Starlette:
    """Build the page.

    Args:
        site: How it is reached.
        database: Where people are.
        store: Where requests are.
        signing_key: What signs cookies and forms.
        run_url: Gives the page of a run in the Temporal Web UI; empty where there is none.
        limits: How many attempts to sign in may fail.
        converter: What decodes values for the Temporal Web UI.
        ui_url: Where that is.
    """
    denials, assets = DenialLog(database), Assets()
    pages = Pages(
        database=database,
        store=store,
        sessions=Sessions(database, signing_key, secure=site.secure),
        denials=denials,
        assets=assets,
        run_url=run_url,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with database.statement() as connection:
            await forget_old_denials(connection)
        yield

    return Starlette(
        routes=[
            Route(HEALTH, _healthy),
            *SignInPages(pages, limits).routes(),
            *RequestPages(pages).routes(),
            *assets.routes(),
            *CodecPages(pages, converter, ui_url).routes(),
        ],
        middleware=[Middleware(Guard, site=site, denials=denials)],
        exception_handlers=_failures_of(pages, site),
        lifespan=lifespan,
    )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _failures_of(pages: Pages, site: Site) -> dict[Any, Any]:
    """What people see when there is no such page, no database, or a mistake of ours."""

    async def no_page(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        try:
            visit = await pages.sessions.visit(request)
        except TransientError as failure:
            return await away(request, failure)
        sentence = "There is nothing at this address. The list shows what waits for you."
        return pages.refuse(visit, status, sentence, title="No such page")

    async def away(_: Request, error: Exception) -> Response:
        _LOG.warning("Not answered: %s", error)
        return PlainTextResponse(AWAY, status_code=503, headers={"Retry-After": "5"})

    async def broken(_: Request, error: Exception) -> Response:
        answer = PlainTextResponse(BROKEN, status_code=500)
        add_headers(answer.headers, site)  # Starlette answers a mistake outside of the middleware
        return answer

    return {HTTPException: no_page, TransientError: away, Exception: broken}
