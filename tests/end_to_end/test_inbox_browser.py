"""People decide on the page, in a real Chromium, on runs of a real worker."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser
from sqlalchemy import func, select
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.tables import Ticket
from tests.commanding import Commands
from tests.end_to_end.chromium import (
    Reviewer,
    chromium,
    new_reviewer,
    program,
    reviewer,
    served,
)

pytestmark = [
    pytest.mark.usefixtures("service"),
    pytest.mark.skipif(
        not (program() or os.environ.get("CI")),
        reason="needs Chromium: `apt-get install chromium`",
    ),
]
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 700},
    "is_mobile": True,
    "has_touch": True,
}
LONGEST_S = 60

Visit = Callable[..., AbstractAsyncContextManager[Reviewer]]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture(scope="module")
async def url(command: Commands) -> AsyncIterator[str]:
    async with served(command) as address:
        yield address


@pytest.fixture(scope="module")
def visit(browser: Browser, url: str) -> Visit:
    """Opens the browser of somebody."""
    return partial(reviewer, browser, url)


@pytest.fixture(scope="module")
async def known(visit: Visit, command: Commands) -> str:
    """The name of somebody who has chosen a password."""
    name, link = await new_reviewer(command)
    async with visit(name) as one:
        await one.come_in(link)
    return name


def ticket_for(word: str) -> str:
    return f"file a ticket for account A-1001: printer {word} is on fire"


async def start(command: Commands, *given: str) -> str:
    workflow_id = f"run-{secrets.token_hex(6)}"
    started = await command(*given, "--no-wait", "--id", workflow_id)
    assert started.code == 0, started.err
    return workflow_id


async def result_of(client: Client, workflow_id: str) -> dict[str, Any]:
    async with asyncio.timeout(LONGEST_S):
        return await client.get_workflow_handle(workflow_id).result()


async def tickets_with(database: Database, word: str) -> int:
    query = select(func.count()).where((Ticket.subject + Ticket.description).contains(word))
    async with database.statement() as connection:
        return int(await connection.scalar(query) or 0)


async def fits(one: Reviewer) -> bool:
    """Whether nothing sticks out at the side."""
    wide = await one.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return wide[0] <= wide[1]


async def test_a_text_is_rejected_and_its_next_revision_is_approved(
    visit: Visit, command: Commands, commanded: Client
) -> None:
    name, link = await new_reviewer(command)
    workflow_id = await start(command, "review", "task-5", "--reviewer", name)

    async with visit(name) as one:
        await one.come_in(link)
        await one.open_request("Text")
        run_link = await one.page.get_by_role("link", name="Its run, step by step").count()
        await one.reject("Shorter, please.")
        await one.is_told("rejected")
        await one.page.get_by_role("link", name="To what else waits").click()
        await one.open_request("Revision 2")
        asked = await one.page.locator(".asked blockquote").inner_text()
        changes = await one.page.locator(".changes .added, .changes .removed").count()
        await one.approve()
        await one.is_told("approved")
        result = await result_of(commanded, workflow_id)
        await one.page.get_by_role("link", name="Decided").click()
        decided = await one.page.locator(".row .chip").all_inner_texts()

    assert run_link == 1
    assert asked == "Shorter, please."
    assert changes >= 1
    assert (result["status"], result["decided_by"]) == ("approved", name)
    assert decided == ["Approved", "Rejected"]
    assert one.complaints == []


async def test_a_call_is_made_once_when_somebody_approves_it_with_two_keys(
    visit: Visit,
    known: str,
    command: Commands,
    commanded: Client,
    database: Database,
) -> None:
    word = secrets.token_hex(6)
    workflow_id = await start(command, "react", ticket_for(word), "--reviewer", known)

    async with visit(known) as one:
        await one.sign_in()
        await one.page.locator(".row").filter(has_text=word).wait_for()
        before = await tickets_with(database, word)
        await one.press("j", "Enter")
        await one.page.get_by_role("heading", name="What would be done").wait_for()
        shown = await one.page.locator(".arguments").inner_text()
        await one.press("a", "Enter")
        await one.is_told("approved")
    result = await result_of(commanded, workflow_id)

    assert word in shown
    assert before == 0
    assert await tickets_with(database, word) == 1
    assert result["answer"]
    assert one.complaints == []


async def test_what_somebody_says_against_a_call_is_what_the_agent_answers_to(
    visit: Visit,
    known: str,
    command: Commands,
    commanded: Client,
    database: Database,
) -> None:
    word, feedback = secrets.token_hex(6), "Call the customer instead, they asked for it."
    workflow_id = await start(command, "react", ticket_for(word), "--reviewer", known)

    async with visit(known) as one:
        await one.sign_in()
        await one.open_request(word)
        await one.reject(feedback)
        await one.is_told("rejected")
    result = await result_of(commanded, workflow_id)

    assert feedback in result["answer"]
    assert await tickets_with(database, word) == 0
    assert one.complaints == []


async def test_without_scripts_on_a_phone_a_call_is_changed_and_then_made(
    visit: Visit,
    known: str,
    command: Commands,
    commanded: Client,
    database: Database,
) -> None:
    word, other = secrets.token_hex(6), secrets.token_hex(6)
    workflow_id = await start(command, "react", ticket_for(word), "--reviewer", known)

    async with visit(known, java_script_enabled=False, **PHONE) as one:
        await one.sign_in()
        await one.open_request(word, by_hand=True)
        await one.page.locator("#edit summary").click()
        await one.page.get_by_label("Subject").fill(f"Printer {other}")
        await one.page.get_by_label("Description").fill("It burns.")
        await one.page.get_by_role("button", name="Approve with these changes").click()
        await one.is_told("approved with your changes")
    await result_of(commanded, workflow_id)

    assert await tickets_with(database, other) == 1
    assert await tickets_with(database, word) == 0
    assert one.complaints == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_on_a_phone_nothing_sticks_out_and_the_decision_is_within_reach(
    visit: Visit, known: str, command: Commands, scheme: str
) -> None:
    word = secrets.token_hex(6)
    await start(command, "react", ticket_for(word), "--reviewer", known)

    async with visit(known, color_scheme=scheme, **PHONE) as one:
        await one.sign_in()
        await one.page.locator(".row").filter(has_text=word).wait_for()
        list_fits = await fits(one)
        await one.open_request(word)
        request_fits = await fits(one)
        await one.page.get_by_role("link", name="Decide", exact=True).tap()
        await one.page.get_by_role("button", name="Approve", exact=True).tap()
        await one.is_told("approved")
        answer_fits = await fits(one)

    assert (list_fits, request_fits, answer_fits) == (True, True, True)
    assert one.complaints == []


async def test_a_page_that_is_open_tells_of_a_decision_elsewhere_and_makes_no_second_one(
    visit: Visit, known: str, command: Commands, commanded: Client, database: Database
) -> None:
    word = secrets.token_hex(6)
    workflow_id = await start(command, "react", ticket_for(word), "--reviewer", known)

    async with (
        visit(known) as first,
        visit(known, java_script_enabled=False) as second,
    ):
        await first.sign_in()
        await first.open_request(word)
        await second.sign_in()
        await second.open_request(word, by_hand=True)
        await second.approve()
        await second.is_told("approved")
        await first.page.get_by_text(f"Approved by {known} meanwhile.").wait_for()
        await first.reject("Call them instead.")
        said = await first.page.get_by_role("alert").inner_text()
    await result_of(commanded, workflow_id)

    assert said
    assert await tickets_with(database, word) == 1
