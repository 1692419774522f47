"""Signing in, with a password or a one-time link, and signing out."""

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from durable_agents.db import access, people
from durable_agents.db.sign_in import Limits, SignInFailure, sign_in
from durable_agents.models.errors import InputError
from inbox.pages import Fields, Pages, inner_path
from inbox.sessions import Visit

WRONG = "Name and password do not fit together. Look at both again."
TOO_MANY = "Too many attempts did not work. Wait a quarter of an hour, then try again."
NO_LINK = (
    "This link was used already, is over, or was replaced by a newer one. "
    "Ask whoever sent it to you for another."
)


class SignInPages:
    """The pages by which people come in and go.

    Args:
        pages: What all pages share.
        limits: How many attempts may fail.
    """

    def __init__(self, pages: Pages, limits: Limits) -> None:
        self._pages = pages
        self._limits = limits

    def routes(self) -> list[Route]:
        """Where they are."""
        to_all = self._pages.open_to_all
        both = ["GET", "POST"]
        return [
            Route("/sign-in", to_all(self._sign_in), methods=both),
            Route("/link/{secret}", to_all(self._link), methods=both),
            Route("/sign-out", to_all(self._sign_out), methods=["POST"]),
        ]

    async def _sign_in(self, visit: Visit, fields: Fields) -> Response:
        if visit.request.method != "POST":
            target = inner_path(visit.request.query_params.get("next", ""))
            if visit.person is not None:
                return RedirectResponse(target, status_code=303)
            return self._pages.show(visit, "sign_in.html", name="", target=target)
        name, target = fields.get("name", ""), inner_path(fields.get("next", ""))
        outcome = await sign_in(
            self._pages.database, name, fields.get("password", ""), visit.address, self._limits
        )
        if isinstance(outcome, SignInFailure):
            is_over = outcome == SignInFailure.TOO_MANY
            await self._pages.deny(visit, outcome.value)
            return self._pages.show(
                visit,
                "sign_in.html",
                status=429 if is_over else 403,
                problem=TOO_MANY if is_over else WRONG,
                name=name[:100],
                target=target,
            )
        async with self._pages.database.statement() as connection:
            secret = await access.begin_session(connection, outcome)
        return self._pages.sessions.sign_in(RedirectResponse(target, 303), secret)

    async def _link(self, visit: Visit, fields: Fields) -> Response:
        """Show whom a link is for; use it up only when they say so, as mail scanners look too."""
        secret = str(visit.request.path_params["secret"])
        async with self._pages.database.statement() as connection:
            person = await access.find_link(connection, secret)
        if person is None:
            return await self._no_link(visit)
        if visit.request.method != "POST":
            return self._pages.show(visit, "link.html", invited=person)
        try:
            session = await self._come_in(secret, fields)
        except InputError as error:
            return self._pages.show(
                visit, "link.html", status=422, invited=person, problem=error.message
            )
        if session is None:
            return await self._no_link(visit)
        return self._pages.sessions.sign_in(RedirectResponse("/", 303), session)

    async def _come_in(self, secret: str, fields: Fields) -> str | None:
        """Use a link up, set the password if one was chosen, begin a session; all or nothing."""
        chosen = fields.get("password", "")
        sets = fields.get("how") != "once"
        if sets and chosen != fields.get("again", ""):
            raise InputError("The two passwords are not the same. Type them again.")
        async with self._pages.database.transaction() as connection:
            person = await access.use_link(connection, secret)
            if person is None:
                return None
            if sets:
                person = await people.set_password(connection, person.name, chosen)
            return await access.begin_session(connection, person)

    async def _no_link(self, visit: Visit) -> Response:
        await self._pages.deny(visit, "link that lets nobody in")
        return self._pages.refuse(visit, 404, NO_LINK, title="This link does not work any more")

    async def _sign_out(self, visit: Visit, _: Fields) -> Response:
        answer = RedirectResponse("/sign-in", status_code=303)
        if visit.person is None:
            return answer
        return await self._pages.sessions.sign_out(visit, answer)
