"""Who is visiting: signed cookies, and the tokens that their forms carry.

A cookie holds the random secret of a session and our signature; whether the session still is one
is asked of the database each time. A form's token is another signature of the same secret, so
that no other page, and no other session, can know it. Those who have not signed in have a cookie
of their own, by which the form to sign in is protected, too.
"""

import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer, TimestampSigner
from starlette.requests import Request
from starlette.responses import Response

from durable_agents.db import access
from durable_agents.db.engine import Database
from durable_agents.models.people import Person

VISITOR_LASTS_S = 24 * 3600
SESSION_LASTS_S = int(access.SESSION_LASTS.total_seconds())


@dataclass(frozen=True)
class Visit:
    """One request to the page: by whom, and with which secret."""

    request: Request
    person: Person | None
    secret: str
    csrf: str
    is_new: bool = False

    @property
    def address(self) -> str:
        """Where it comes from."""
        return self.request.client.host if self.request.client else ""


class Sessions:
    """Reads and writes the cookies.

    Args:
        database: Where sessions are kept.
        key: The signing key.
        secure: Whether the page is reached over TLS.
    """

    def __init__(self, database: Database, key: str, *, secure: bool) -> None:
        self._database = database
        self._secure = secure
        prefix = "__Host-" if secure else "durable-agents-"
        self._cookie, self._visitor_cookie = f"{prefix}session", f"{prefix}visitor"
        self._session = TimestampSigner(key, salt="durable-agents.inbox.session")
        self._visitor = TimestampSigner(key, salt="durable-agents.inbox.visitor")
        self._form = Signer(key, salt="durable-agents.inbox.form")

    async def visit(self, request: Request) -> Visit:
        """See who visits."""
        secret = _unsigned(self._session, request.cookies.get(self._cookie), SESSION_LASTS_S)
        if secret:
            async with self._database.statement() as connection:
                person = await access.person_of_session(connection, secret)
            if person is not None:
                return Visit(request, person, secret, self._token(secret))
        known = _unsigned(self._visitor, request.cookies.get(self._visitor_cookie), VISITOR_LASTS_S)
        secret = known or secrets.token_urlsafe(32)
        return Visit(request, None, secret, self._token(secret), is_new=not known)

    def is_ours(self, visit: Visit, token: str) -> bool:
        """Whether a form was made for this visitor."""
        return hmac.compare_digest(visit.csrf.encode(), token.encode("utf-8", "replace"))

    def seal(self, visit: Visit, text: str) -> str:
        """Sign a text that an address carries, for this visitor alone."""
        return self._form.get_signature(f"{visit.secret}:{text}").decode()

    def is_sealed(self, visit: Visit, text: str, seal: str) -> bool:
        """Whether we signed this text for this visitor."""
        made = self.seal(visit, text)
        return hmac.compare_digest(made.encode(), seal.encode("utf-8", "replace"))

    def welcome(self, visit: Visit, response: Response) -> Response:
        """Give somebody who is not signed in the cookie that their form needs."""
        if visit.person is None and visit.is_new:
            signed = self._visitor.sign(visit.secret).decode()
            self._set(response, self._visitor_cookie, signed, VISITOR_LASTS_S)
        return response

    def sign_in(self, response: Response, secret: str) -> Response:
        """Set the cookie of a session that has begun."""
        self._set(response, self._cookie, self._session.sign(secret).decode(), SESSION_LASTS_S)
        self._delete(response, self._visitor_cookie)
        return response

    async def sign_out(self, visit: Visit, response: Response) -> Response:
        """End the session, here and in the database."""
        async with self._database.statement() as connection:
            await access.end_session(connection, visit.secret)
        self._delete(response, self._cookie)
        return response

    def _token(self, secret: str) -> str:
        return self._form.get_signature(secret).decode()

    def _set(self, response: Response, name: str, value: str, lasts_s: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=lasts_s,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )

    def _delete(self, response: Response, name: str) -> None:
        response.delete_cookie(
            name, path="/", secure=self._secure, httponly=True, samesite="strict"
        )


def _unsigned(signer: TimestampSigner, value: str | None, lasts_s: int) -> str:
    """What a cookie says, if we said it and not too long ago; else nothing."""
    try:
        return signer.unsign(value or "", max_age=lasts_s).decode()
    except (BadSignature, UnicodeError):
        return ""
