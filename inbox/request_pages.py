"""The list of what waits, one request, the decision on it, and what was decided."""

import asyncio
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from durable_agents.models.approval import MAX_FEEDBACK_CHARS
from durable_agents.models.errors import InputError, TransientError
from durable_agents.models.people import Person
from inbox.arguments import edited, fields_of
from inbox.differences import differences
from inbox.markdown import render
from inbox.pages import Fields, Pages
from inbox.requests import RequestPage, ShownRequest, Submission
from inbox.sessions import Visit

A_PAGE = 50
LONGEST_SEARCH = 100
LONGEST_ID = 18  # digits; the database's own ids have 19 at most
STALE = (
    "The text has changed since you opened this page. Read what is here now, then decide again; "
    "what you sent was not counted."
)
OWN = "You asked for this yourself, and somebody else has to decide on it."
NOT_HERE = (
    "There is no such request, or it is for somebody else. The list shows what waits for you."
)
NEEDS_FEEDBACK = "Say what is to be changed: whoever wrote this works with your words."
TOO_LONG = f"Keep your words under {MAX_FEEDBACK_CHARS:,} characters; nothing was done with them."
SAME = "Nothing was changed. To take it as it is, use Approve."


@dataclass(frozen=True)
class Listed:
    """What the list shows: the requests of a page, whether there are `more`, and its `mark`."""

    found: RequestPage
    search: str
    mark: str
    page: int
    more: bool


class RequestPages:
    """The pages of those who decide."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[Route]:
        """Where they are."""
        inside = self._pages.signed_in
        return [
            Route("/", inside(self._list)),
            Route("/waiting", inside(self._waiting)),
            Route("/history", inside(self._history)),
            Route("/requests/{request_id}", inside(self._request)),
            Route("/requests/{request_id}/state", inside(self._state)),
            Route("/requests/{request_id}/decide", inside(self._decide), methods=["POST"]),
        ]

    async def _list(self, visit: Visit, person: Person, _: Fields) -> Response:
        return self._pages.show(
            visit, "list.html", listed=await self._listed(visit.request, person)
        )

    async def _waiting(self, visit: Visit, person: Person, _: Fields) -> Response:
        """Answer with the list alone, or with nothing when it is what the browser shows."""
        if visit.request.query_params.get("mark") == await self._mark(person):
            return Response(status_code=204)
        listed = await self._listed(visit.request, person)
        return self._pages.show(visit, "waiting.html", is_part=True, listed=listed)

    async def _listed(self, request: Request, person: Person) -> Listed:
        search = request.query_params.get("search", "").strip()[:LONGEST_SEARCH]
        number = request.query_params.get("page", "1")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
        offset = (max(page, 1) - 1) * A_PAGE
        mark = await self._mark(person)  # before: what comes between is then shown next time
        found = await self._pages.store.waiting(person, search=search, offset=offset, limit=A_PAGE)
        more = offset + len(found.lines) < found.total
        return Listed(found, search, mark, max(page, 1), more)

    async def _mark(self, person: Person) -> str:
        """What changes with the list, and each minute, because it says how old things are."""
        return f"{await self._pages.store.mark(person)}.{int(time.time() // 60)}"

    async def _history(self, visit: Visit, person: Person, _: Fields) -> Response:
        decided = await self._pages.store.decided(person)
        return self._pages.show(visit, "history.html", decided=decided)

    async def _request(self, visit: Visit, person: Person, _: Fields) -> Response:
        request = await self._find(visit, person)
        if request is None:
            return await self._not_here(visit)
        return await self._show(visit, person, request)

    async def _state(self, visit: Visit, person: Person, _: Fields) -> Response:
        """Tell a page that is open when its request was decided meanwhile."""
        request = await self._find(visit, person)
        seen = visit.request.query_params.get("seen", "")
        if request is None or request.status == seen:
            return Response(status_code=204)
        return self._pages.show(visit, "state.html", request=request)

    async def _decide(self, visit: Visit, person: Person, fields: Fields) -> Response:
        request = await self._find(visit, person)
        if request is None:
            return await self._not_here(visit)
        problem, status = "", 422
        try:
            made = submission_of(person, request, fields)
            answer = await self._pages.store.decide(person, request, made)
            if answer.counted:
                seal = self._pages.sessions.seal(visit, _sent(request, made.verdict))
                target = f"/requests/{request.request_id}?sent={made.verdict}&seal={seal}"
                return RedirectResponse(target, status_code=303)
            problem, status = answer.sentence, 409
        except InputError as error:
            problem = error.message
        except TransientError as error:
            problem, status = error.message, 503
        await self._pages.deny(visit, problem)
        current = await self._find(visit, person) or request
        return await self._show(visit, person, current, fields, problem=problem, status=status)

    async def _show(
        self,
        visit: Visit,
        person: Person,
        request: ShownRequest,
        fields: Fields | None = None,
        *,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        changes = None
        if request.previous_revision:
            changes = await asyncio.to_thread(
                differences, request.previous_content, request.content
            )
        return self._pages.show(
            visit,
            "request.html",
            status=status,
            problem=problem,
            request=request,
            typed=fields or {},
            arguments=fields_of(request.arguments),
            changes=changes,
            sent=self._sent_before(visit, request),
            is_own=request.four_eyes and request.asked_by == person.name,
            content=await asyncio.to_thread(render, request.content),
            run_url=self._pages.run_url(request.workflow_id, request.run_id),
        )

    def _sent_before(self, visit: Visit, request: ShownRequest) -> str:
        """The verdict that this visitor has just sent, if our own answer says so."""
        given = visit.request.query_params
        sent, seal = given.get("sent", ""), given.get("seal", "")
        is_ours = self._pages.sessions.is_sealed(visit, _sent(request, sent), seal)
        return sent if is_ours else ""

    async def _find(self, visit: Visit, person: Person) -> ShownRequest | None:
        given = str(visit.request.path_params["request_id"])
        if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_ID):
            return None
        return await self._pages.store.find(person, int(given))

    async def _not_here(self, visit: Visit) -> Response:
        await self._pages.deny(visit, "no request for this person")
        return self._pages.refuse(visit, 404, NOT_HERE, title="Nothing to decide here")


def submission_of(person: Person, request: ShownRequest, fields: Fields) -> Submission:
    """The decision that a form carries.

    Raises:
        InputError: It cannot count; says why.
    """
    feedback = fields.get("feedback", "").strip()
    if request.four_eyes and request.asked_by == person.name:
        raise InputError(OWN)
    if fields.get("digest") != request.digest:
        raise InputError(STALE)
    if len(feedback) > MAX_FEEDBACK_CHARS:
        raise InputError(TOO_LONG)
    verdict = fields.get("verdict")
    if verdict == "approve":
        return Submission(verdict="approve", digest=request.digest, feedback=feedback)
    if verdict == "reject":
        if not feedback:
            raise InputError(NEEDS_FEEDBACK)
        return Submission(verdict="reject", digest=request.digest, feedback=feedback)
    if verdict != "edit":
        raise InputError("This decision is none that can be made here.")
    return _edit_of(request, fields, feedback)


def _edit_of(request: ShownRequest, fields: Fields, feedback: str) -> Submission:
    made = {"verdict": "edit", "digest": request.digest, "feedback": feedback}
    if request.kind == "tool":
        arguments = edited(request.arguments, fields)
        if arguments == request.arguments:
            raise InputError(SAME)
        return Submission.model_validate({**made, "arguments": arguments})
    content = fields.get("content", "")
    if not content.strip():
        raise InputError("The text is empty. To turn it down, use Reject.")
    if content == request.content.replace("\r\n", "\n"):
        raise InputError(SAME)
    return Submission.model_validate({**made, "content": content})


def _sent(request: ShownRequest, verdict: str) -> str:
    return f"{request.request_id}:{request.digest}:{verdict}"
