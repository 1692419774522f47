"""What holds for every answer: the name that was asked for, and the headers that protect it."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inbox.denial_log import DenialLog, without_secret
from inbox.site import Site

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEALTH = "/healthz"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make the Origin of our own forms null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


class Guard:
    """Answers only those who ask for one of our names, and adds the headers.

    Args:
        app: What answers.
        site: Our names.
        denials: Where a foreign name is written down.
    """

    def __init__(self, app: ASGIApp, site: Site, denials: DenialLog) -> None:
        self._app = app
        self._site = site
        self._denials = denials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), self._site)
            await send(message)

        app = self._app if await self._is_for_us(scope) else _MISDIRECTED
        await app(scope, receive, send_guarded)

    async def _is_for_us(self, scope: Scope) -> bool:
        named = Headers(scope=scope).getlist("host")
        if scope["path"] == HEALTH:  # says nothing, and is asked for by address
            return True
        if len(named) == 1 and named[0].lower() in self._site.hosts:
            return True
        client = scope.get("client")
        await self._denials.add(
            who="",
            what=f"{scope['method']} {without_secret(scope['path'])}",
            why=f"asked for the host {', '.join(named)!r}",
            address=client[0] if client else "",
        )
        return False


_MISDIRECTED = PlainTextResponse(
    "This name does not lead to a page here. Use the address that the service was set up with "
    "(INBOX_URL).\n",
    status_code=421,
)


def add_headers(headers: MutableHeaders, site: Site) -> None:
    """Add what protects an answer, whoever made it."""
    for name, value in HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
    if site.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
