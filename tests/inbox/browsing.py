"""A browser without a screen: keeps cookies, reads forms, sends them as a person would."""

import ipaddress
import re
from html.parser import HTMLParser
from itertools import count
from typing import Any

import httpx2
from starlette.applications import Starlette

from durable_agents.db.engine import Database
from durable_agents.db.sign_in import LIMITS, Limits
from inbox.app import create_app
from inbox.requests import RequestStore
from inbox.site import Site

HOST = "127.0.0.1:8232"
URL = f"http://{HOST}"
KEY = "a key of the tests, long enough to be one"
PASSWORD = "three quiet otters"
SESSION = "durable-agents-session"  # the cookie of who signed in
_addresses = count(int(ipaddress.ip_address("198.19.0.1")))


def an_app(
    database: Database, store: RequestStore, *, limits: Limits = LIMITS, key: str = KEY
) -> Starlette:
    """The page as it is served."""
    return create_app(
        site=Site(URL, frozenset({HOST})),
        database=database,
        store=store,
        signing_key=key,
        run_url=lambda workflow_id, run_id: f"http://127.0.0.1:8233/{workflow_id}/{run_id}",
        limits=limits,
    )


def an_address() -> str:
    """An address that nobody has come from."""
    return str(ipaddress.ip_address(next(_addresses)))


class Browser:
    """One person's browser.

    Args:
        app: What it looks at.
        address: Where it comes from.
    """

    def __init__(self, app: Starlette, address: str = "") -> None:
        transport = httpx2.ASGITransport(app, client=(address or an_address(), 4000))
        self.http = httpx2.AsyncClient(transport=transport, base_url=URL)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        """Ask for a page, and follow where it leads."""
        return await self.http.get(path, follow_redirects=True, **options)

    async def send(
        self, page: httpx2.Response, action: str = "", *, drop: str = "", **fields: str
    ) -> httpx2.Response:
        """Send the form of a page that has this field among its hidden ones.

        Args:
            page: The page with the form.
            action: `FIELD=VALUE` that tells the form from others.
            drop: A hidden field that is left out.
            fields: What a person types; `__` stands for a dot.
        """
        form = next(form for form in forms_of(page.text) if _fits(form, action))
        values = {**form["fields"], **{name.replace("__", "."): v for name, v in fields.items()}}
        values.pop(drop, None)
        target = form["action"] or str(page.url.path)
        return await self.http.post(target, data=values)

    async def sign_in(self, name: str, password: str = PASSWORD) -> httpx2.Response:
        """Sign in; gives the first answer."""
        return await self.send(await self.get("/sign-in"), name=name, password=password)

    def cookie(self, name: str) -> str:
        """The value of a cookie."""
        return str(self.http.cookies.get(name) or "")


def _fits(form: dict[str, Any], action: str) -> bool:
    name, _, value = action.partition("=")
    if not name:
        return "out" not in form["action"] and form["method"] == "post"
    return form["fields"].get(name) == value or form["action"] == action


def forms_of(page: str) -> list[dict[str, Any]]:
    """The forms of a page with their hidden fields."""
    reader = _Forms()
    reader.feed(page)
    return reader.forms


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            action, method = given.get("action") or "", given.get("method") or "get"
            self.forms.append({"action": action, "method": method, "fields": {}})
        elif tag == "input" and given.get("type") == "hidden" and self.forms:
            self.forms[-1]["fields"][given["name"]] = given.get("value") or ""


def elements_of(page: str) -> list[tuple[str, dict[str, str]]]:
    """All elements of a page as a browser sees them, with their attributes."""
    reader = _Elements()
    reader.feed(page)
    return reader.found


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def text_of(page: httpx2.Response) -> str:
    """What a page says, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())
