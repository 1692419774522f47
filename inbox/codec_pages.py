"""Decodes and encodes values for the Temporal Web UI and the `temporal` command, for operators.

They speak the protocol of remote codecs: `POST …/decode`, `…/encode` and `…/download` with
`{"payloads": […]}` as JSON, answered alike. The Web UI asks from a page of another origin, with
the cookie of whoever is signed in here; so only the exact origin of the UI is answered, only
people with the role `operator` or `admin`, and nobody is let in by a cookie whose browser does not
say which page asks. Scripts and the `temporal` command come with a token of `users token`
(`--codec-auth "Bearer …"`).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import DataConverter

from durable_agents.db import access
from durable_agents.models.errors import DurableAgentsError, PayloadKeyError, PayloadLostError
from durable_agents.models.people import ADMIN, OPERATOR, Person
from durable_agents.runtime.payload_storage import reference_in, resolved
from inbox.pages import Pages

PATH = "/codec"
MOST_BYTES = 16 * 1024 * 1024
MOST_FETCHED = 32 * 1024 * 1024  # of what references lead to, before the last one: each has as much
_BEARER = "bearer "
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_ASKED_BEFORE = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": ", ".join(
        ("content-type", "x-namespace", "authorization", "authorization-extras")
    ),
    "Access-Control-Max-Age": "600",
}
_LOG = logging.getLogger(__name__)

Work = Callable[[Request, Sequence[Payload]], Awaitable[Sequence[Payload]]]


class RefusalError(Exception):
    """Why somebody gets no answer.

    Args:
        status: The status of the answer.
        sentence: What it says.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class CodecPages:
    """The remote codec.

    Args:
        pages: Who visits, and where refusals are written down.
        converter: What encodes and decodes, with its store.
        ui_url: Where the Temporal Web UI is; empty when that is not known, and then no page is
            answered.
    """

    def __init__(self, pages: Pages, converter: DataConverter, ui_url: str) -> None:
        self._pages = pages
        self._converter = converter
        self._origin = origin_of(ui_url)

    def routes(self) -> list[BaseRoute]:
        """The addresses."""
        works = {"decode": self._decode, "encode": self._encode, "download": self._download}
        return [
            Route(f"{PATH}/{name}", self._endpoint(work), methods=["POST", "OPTIONS"])
            for name, work in works.items()
        ]

    def _endpoint(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            headers = self._for_the_ui(request)
            if request.method == "OPTIONS":
                status = 204 if headers else 403
                return Response(status_code=status, headers={**_ASKED_BEFORE, **headers})
            try:
                return await self._answer(request, work, headers)
            except RefusalError as refusal:
                await self._note(request, refusal)
                told = {"message": refusal.sentence}
                return JSONResponse(told, status_code=refusal.status, headers=headers)
            except DurableAgentsError as error:
                status = 404 if isinstance(error, PayloadLostError | PayloadKeyError) else 503
                return JSONResponse({"message": error.message}, status_code=status, headers=headers)

        return endpoint

    async def _answer(self, request: Request, work: Work, headers: dict[str, str]) -> Response:
        person = await self._allowed(request)
        payloads = await _read(request)
        made = Payloads(payloads=await work(request, payloads))
        name = request.url.path.rpartition("/")[2]
        _LOG.info("%s %s for %s", name, len(payloads), person.name)
        text = json_format.MessageToJson(made, indent=None)
        return Response(text, media_type="application/json", headers=headers)

    def _for_the_ui(self, request: Request) -> dict[str, str]:
        """The headers that let the UI's page read the answer; none for any other page."""
        if not self._origin or request.headers.get("origin") != self._origin:
            return {}
        return {
            "Access-Control-Allow-Origin": self._origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    async def _allowed(self, request: Request) -> Person:
        """Who asks, if they may.

        Raises:
            RefusalError: They may not.
        """
        origin, given = request.headers.get("origin"), request.headers.get("authorization", "")
        if origin is not None and origin != self._origin:
            raise RefusalError(403, "Only the Temporal Web UI that is configured here may ask.")
        if given.lower().startswith(_BEARER):
            async with self._pages.database.statement() as connection:
                token = given[len(_BEARER) :].strip()
                person = await access.person_of_token(connection, token)
        elif origin is None:
            raise RefusalError(401, "Send a token: `durable-agents users token NAME` makes one.")
        else:
            person = (await self._pages.sessions.visit(request)).person
        if person is None:
            raise RefusalError(401, "Sign in to the reviewers' page first, in this browser.")
        if not {ADMIN, OPERATOR} & set(person.roles):
            raise RefusalError(
                403, f"{person.name} needs the role operator to read encrypted values."
            )
        return person

    async def _note(self, request: Request, refusal: RefusalError) -> None:
        """Write down who may not; a UI whose user has not signed in asks all the time."""
        if refusal.status != 403:
            return
        await self._pages.denials.add(
            who="",
            what=f"{request.method} {request.url.path}",
            why=refusal.sentence,
            address=request.client.host if request.client else "",
        )

    async def _encode(self, request: Request, payloads: Sequence[Payload]) -> Sequence[Payload]:
        codec = self._converter.payload_codec
        return await codec.encode(payloads) if codec else payloads

    async def _decode(self, request: Request, payloads: Sequence[Payload]) -> Sequence[Payload]:
        """Decode what can be; one whose key or bytes are gone stays as it is beside the others."""
        # The Web UI fetches large values one by one, when somebody asks for them.
        room = 0 if request.query_params.get("preserveStorageRefs") == "true" else MOST_FETCHED
        made: list[Payload] = []
        for payload in payloads:
            made.append(await self._decoded(payload, resolves=room > 0))
            room -= made[-1].ByteSize() if reference_in(payload) else 0
        return made

    async def _decoded(self, payload: Payload, *, resolves: bool) -> Payload:
        try:
            return await self._opened(payload) if resolves else await self._plain(payload)
        except (PayloadKeyError, PayloadLostError) as error:
            _LOG.warning("Not decoded: %s", error.message)
            return payload

    async def _download(self, request: Request, payloads: Sequence[Payload]) -> Sequence[Payload]:
        made: list[Payload] = []
        for payload in payloads:
            if sum(one.ByteSize() for one in made) > MOST_FETCHED:
                raise RefusalError(413, "That is too much at once: fetch values one by one.")
            made.append(await self._opened(payload))
        return made

    async def _opened(self, payload: Payload) -> Payload:
        (found,) = await resolved(self._converter, [payload])
        return await self._plain(found)

    async def _plain(self, payload: Payload) -> Payload:
        codec = self._converter.payload_codec
        return (await codec.decode([payload]))[0] if codec else payload


def origin_of(url: str) -> str:
    """The origin of a page as browsers send it, without the usual port; empty for none."""
    parts = urlsplit(url.lower())
    host = parts.netloc.rpartition("@")[2].removesuffix(_USUAL_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}" if host else ""


async def _read(request: Request) -> Sequence[Payload]:
    """The payloads that are sent.

    Raises:
        RefusalError: They are too large, or none.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusalError(415, "Send payloads as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RefusalError(413, f"At most {MOST_BYTES // 2**20} MiB are taken at once.")
    try:
        return json_format.Parse(bytes(body), Payloads(), ignore_unknown_fields=True).payloads
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise RefusalError(400, 'This is no JSON of the form {"payloads": […]}.') from None
