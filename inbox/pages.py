"""What all pages share: who visits, how a template becomes an answer, how somebody is refused."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from durable_agents.db.engine import Database
from durable_agents.models.people import Person
from inbox import wording
from inbox.assets import Assets
from inbox.denial_log import DenialLog, without_secret
from inbox.forms import FormError, read_form
from inbox.requests import RequestStore
from inbox.revealing import reveal
from inbox.sessions import Sessions, Visit

FOREIGN = (
    "This form was not made by this page for you, or is from before you signed in. "
    "Nothing was done; load the page again and repeat it."
)

Endpoint = Callable[[Request], Awaitable[Response]]
Fields = dict[str, str]


class Pages:
    """Makes pages, and sees to it that only those get them who may.

    Args:
        database: Where people are.
        store: Where requests are.
        sessions: Who visits.
        denials: Where refusals are written down.
        assets: What pages load.
        run_url: Gives the page of a run in the Temporal Web UI; empty where there is none.
    """

    def __init__(
        self,
        *,
        database: Database,
        store: RequestStore,
        sessions: Sessions,
        denials: DenialLog,
        assets: Assets,
        run_url: Callable[[str, str], str],
    ) -> None:
        self.database = database
        self.store = store
        self.sessions = sessions
        self.denials = denials
        self.run_url = run_url
        self._templates = Environment(
            loader=PackageLoader("inbox"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words: dict[str, Any] = {
            "asset": assets.url,
            "reveal": reveal,
            "ago": wording.ago,
            "left": wording.left,
            "is_soon": wording.is_soon,
            "moment": wording.moment,
            "verdicts": wording.VERDICTS,
        }
        for name, word in words.items():
            self._templates.globals[name] = word

    def show(self, visit: Visit, template: str, *, status: int = 200, **values: object) -> Response:
        """Answer with a page."""
        given: Mapping[str, Any] = {
            "person": visit.person,
            "csrf": visit.csrf,
            "path": visit.request.url.path,
            "problem": "",
            **values,
        }
        made = self._templates.get_template(template).render(given)
        return self.sessions.welcome(visit, HTMLResponse(made, status_code=status))

    def refuse(self, visit: Visit, status: int, sentence: str, *, title: str) -> Response:
        """Answer with a page that says why not."""
        return self.show(visit, "refused.html", status=status, heading=title, sentence=sentence)

    def open_to_all(self, page: Callable[[Visit, Fields], Awaitable[Response]]) -> Endpoint:
        """A page that needs no signing in; its form needs our token all the same."""

        async def endpoint(request: Request) -> Response:
            visit = await self.sessions.visit(request)
            fields = await self._fields(visit)
            return fields if isinstance(fields, Response) else await page(visit, fields)

        return endpoint

    def signed_in(self, page: Callable[[Visit, Person, Fields], Awaitable[Response]]) -> Endpoint:
        """A page for those who are signed in; others are asked to sign in first."""

        async def endpoint(request: Request) -> Response:
            visit = await self.sessions.visit(request)
            if visit.person is None:
                return await self._ask_to_sign_in(visit)
            fields = await self._fields(visit)
            if isinstance(fields, Response):
                return fields
            return await page(visit, visit.person, fields)

        return endpoint

    async def deny(self, visit: Visit, why: str) -> None:
        """Write down that somebody was refused."""
        await self.denials.add(
            who=visit.person.name if visit.person else "",
            what=f"{visit.request.method} {without_secret(visit.request.url.path)}",
            why=why,
            address=visit.address,
        )

    async def _fields(self, visit: Visit) -> Fields | Response:
        """What a form sends, if it is one of ours; of a page that is only asked for, nothing."""
        if visit.request.method in {"GET", "HEAD"}:
            return {}
        try:
            fields = await read_form(visit.request)
        except FormError as error:
            await self.deny(visit, f"unusable form ({error.status})")
            return self.refuse(visit, error.status, error.sentence, title="That did not work")
        if self.sessions.is_ours(visit, fields.get("csrf", "")):
            return fields
        await self.deny(visit, "form without our token")
        return self.refuse(visit, 403, FOREIGN, title="That did not work")

    async def _ask_to_sign_in(self, visit: Visit) -> Response:
        request = visit.request
        if "hx-request" in request.headers:  # a part of a page whose session ended meanwhile
            return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
        if request.method != "GET":
            await self.deny(visit, "not signed in")
            return RedirectResponse("/sign-in", status_code=303)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A strict cookie does not come along with a link in a mail; from our page it does.
            return self.show(visit, "onward.html", target=inner_path(request.url.path))
        path = inner_path(request.url.path)
        return RedirectResponse(f"/sign-in?next={path}" if path != "/" else "/sign-in", 303)


def inner_path(path: str) -> str:
    """The path if it is a page to be led to, else that of the list.

    Nothing of what a visitor sends is part of the answer: no address leads elsewhere.
    """
    if path == "/history":
        return path
    begin, _, number = path.partition("/requests/")
    if begin == "" and number.isascii() and number.isdigit() and len(number) < 19:
        return f"/requests/{int(number)}"
    return "/"
