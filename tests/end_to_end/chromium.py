"""A real Chromium without a window, the page as it is really served, and somebody who decides."""

import asyncio
import os
import re
import secrets
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.commanding import COMMAND, Commands

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE_MS = 30_000  # a machine that does much else at the same time
PASSWORD = "three quiet otters"
URL = re.compile(r"http://127\.0\.0\.1:\d+")


def program() -> str:
    """Where Chromium is installed; empty where it is not."""
    return next(filter(None, map(shutil.which, NAMES)), "")


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Start it; as root, for whom it has none, without its sandbox.

    Raises:
        AssertionError: It is not installed; says what to do.
    """
    path = program()
    assert path, "Chromium is not installed: `apt-get install chromium`, then run this again."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, chromium_sandbox=os.geteuid() != 0
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def served(command: Commands) -> AsyncGenerator[str]:
    """Serve the page in a process of its own; gives its address."""
    process = await command.start([COMMAND, "inbox", "--port", "0"])
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            found = URL.search((await process.stdout.readline()).decode())
        assert found is not None
        yield found[0]
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@dataclass(frozen=True)
class Reviewer:
    """Somebody who decides, in a browser of their own.

    `complaints` is what the browser's console says: a script that the policy refuses, an error.
    """

    name: str
    url: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list[str])

    async def come_in(self, path: str) -> None:
        """Use a one-time link and choose a password."""
        await self.page.goto(self.url + path)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_label("The same again").fill(PASSWORD)
        await self.page.get_by_role("button", name="Save and come in").click()
        await self.page.get_by_role("heading", name="Waiting for you").wait_for()

    async def sign_in(self) -> None:
        """Sign in with the password, and see the list."""
        await self.page.goto(self.url)
        await self.page.get_by_label("Name").fill(self.name)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("heading", name="Waiting for you").wait_for()

    async def open_request(self, words: str, *, by_hand: bool = False) -> None:
        """Open the request that the list shows with these words, once it does.

        Args:
            words: What its row says.
            by_hand: Load the list again; else it has to change by itself.
        """
        row = self.page.locator(".row").filter(has_text=words)
        while by_hand and not await row.count():
            await asyncio.sleep(0.3)
            await self.page.reload()
        await row.get_by_role("link").click()
        await self.page.get_by_role("link", name="All that waits").wait_for()

    async def reject(self, words: str) -> None:
        """Say what should be different."""
        await self.page.get_by_label("What should be different?").fill(words)
        await self.page.get_by_role("button", name="Reject").click()

    async def approve(self) -> None:
        """Press the button."""
        await self.page.get_by_role("button", name="Approve", exact=True).click()

    async def press(self, *keys: str) -> None:
        """Press keys, once the page listens to them."""
        await self.page.wait_for_load_state()
        for key in keys:
            await self.page.keyboard.press(key)

    async def is_told(self, verdict: str) -> None:
        """Wait until the page says that the decision is made, or already counts."""
        sent = self.page.get_by_text(f"Your decision is made: {verdict}")
        counted = self.page.locator(".verdict", has_text=verdict.split(maxsplit=1)[0])
        await sent.or_(counted).wait_for()


@asynccontextmanager
async def reviewer(
    browser: Browser, url: str, name: str, **options: Any
) -> AsyncGenerator[Reviewer]:
    """Open a browser for somebody; what its console complains of is kept."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    one = Reviewer(name, url, context, page)
    page.on("pageerror", lambda error: one.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: (
            one.complaints.append(said.text) if said.type in {"error", "warning"} else None
        ),
    )
    try:
        yield one
    finally:
        await context.close()


async def new_reviewer(command: Commands) -> tuple[str, str]:
    """Add a person, whom only what names them is for.

    Gives their name, and the path of the link that lets them in.
    """
    name = f"ingrid-{secrets.token_hex(4)}"
    added = await command("users", "add", name, "--role", "editor", "--shown-name", "Ingrid")
    assert added.code == 0, added.err
    link = await command("users", "link", name)
    assert link.code == 0, link.err
    return name, link.out[link.out.index("/link/") :].strip()
