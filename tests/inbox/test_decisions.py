"""Decisions on the page that reach real runs, and those that come too late."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from temporalio.client import Client, WorkflowFailureError

from durable_agents.db import people
from durable_agents.db.approval_lists import RequestRecord
from durable_agents.db.engine import Database
from durable_agents.models.approval import ApprovalOptions
from durable_agents.models.people import Person
from durable_agents.runtime.settings import Settings
from inbox.approval_store import ApprovalStore
from tests.inbox.browsing import PASSWORD, Browser, an_app, text_of
from tests.workflows import reviewing, runs

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def app(database: Database, client: Client, settings: Settings) -> Starlette:
    """The page with what it really decides on."""
    key = settings.signing_key.get_secret_value()
    return an_app(database, ApprovalStore(database, client, key), key=key)


async def an_editor(database: Database, role: str) -> Person:
    async with database.statement() as connection:
        made = await people.add_user(connection, f"e-{runs.token().lower()}", roles=[role])
        return await people.set_password(connection, made.name, PASSWORD)


async def a_review(client: Client, database: Database, role: str) -> reviewing.Handle:
    """A run that waits for somebody with a role."""
    task_id = await reviewing.new_task(database)
    options = ApprovalOptions(reviewer=role)
    handle = await reviewing.start(client, task_id, approval=options)
    await reviewing.waiting(handle)
    return handle


async def asked(database: Database, handle: reviewing.Handle) -> RequestRecord:
    """What a run has asked last."""
    return (await reviewing.rows_of(database, handle))[-1]


async def opened(app: Starlette, person: Person, request: RequestRecord) -> tuple[Browser, Any]:
    """A browser of somebody's own, and the page of a request in it."""
    browser = Browser(app)
    await browser.sign_in(person.name)
    return browser, await browser.get(f"/requests/{request.request_id}")


async def test_of_two_who_decide_at_the_same_moment_one_is_told_that_the_other_did(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann, bo = await an_editor(database, role), await an_editor(database, role)
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    (first, of_ann), (second, of_bo) = [await opened(app, one, request) for one in (ann, bo)]

    answers = await asyncio.gather(
        first.send(of_ann, "verdict=approve"),
        second.send(of_bo, "verdict=reject", feedback="Shorter."),
    )

    winner = ann.name if answers[0].status_code == 303 else bo.name
    refused = max(answers, key=lambda answer: answer.status_code)

    async def written() -> bool:  # the run counts a decision before it writes it down
        return bool((await reviewing.rows_of(database, handle))[0].decided_by)

    await runs.until(written, "the decision is written down")
    after = (await reviewing.rows_of(database, handle))[0]
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert after.decided_by == winner
    assert f"by {winner} already" in text_of(refused)
    await handle.cancel()


async def test_who_still_sees_the_revision_before_decides_nothing(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann, bo = await an_editor(database, role), await an_editor(database, role)
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    (first, of_ann), (second, of_bo) = [await opened(app, one, request) for one in (ann, bo)]
    await second.send(of_bo, "verdict=reject", feedback="Shorter.")
    await reviewing.waiting(handle, 2)

    late = await first.send(of_ann, "verdict=approve")

    newest = await asked(database, handle)
    forged = of_ann.text.replace(
        f"/requests/{request.request_id}/", f"/requests/{newest.request_id}/"
    )
    stale = await first.send(
        type(of_ann)(200, text=forged, request=of_ann.request), "verdict=approve"
    )
    assert (late.status_code, stale.status_code) == (409, 422)
    assert f"Revision 1 was rejected by {bo.name} already" in text_of(late)
    assert "The text has changed since you opened this page" in text_of(stale)
    assert (newest.revision, newest.status) == (2, "pending")
    await handle.cancel()


async def test_a_decision_on_what_has_ended_is_told_so(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann, bo = await an_editor(database, role), await an_editor(database, role)
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    (first, of_ann), (second, of_bo) = [await opened(app, one, request) for one in (ann, bo)]
    approved = await first.send(of_ann, "verdict=approve")
    result = await runs.result_of(handle)

    late = await second.send(of_bo, "verdict=reject", feedback="Shorter.")

    assert (approved.status_code, late.status_code) == (303, 409)
    assert (result.status, result.decided_by) == ("approved", ann.name)
    assert f"by {ann.name}" in text_of(late)
    assert 'name="verdict"' not in late.text


async def test_a_request_of_a_cancelled_run_is_withdrawn_and_takes_no_decision(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann = await an_editor(database, role)
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    browser, page = await opened(app, ann, request)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await runs.result_of(handle)

    late = await browser.send(page, "verdict=approve")

    assert late.status_code == 409
    assert "Withdrawn" in text_of(late)
    assert (await asked(database, handle)).status == "withdrawn"


async def test_what_is_for_another_role_reaches_no_run(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann, stranger = await an_editor(database, role), await an_editor(database, runs.token())
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    _, of_ann = await opened(app, ann, request)
    browser, theirs = await opened(app, stranger, request)
    token = (await browser.get("/")).text.split('name="csrf" value="')[1].split('"')[0]

    sent = await browser.send(of_ann, "verdict=approve", csrf=token)

    assert theirs.status_code == sent.status_code == 404
    assert (await asked(database, handle)).status == "pending"
    await handle.cancel()


async def test_what_the_run_refuses_after_a_look_is_kept_once_by_the_run(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    admin = await an_editor(database, "admin")  # sees all, and may not decide on all
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    browser, page = await opened(app, admin, request)

    sent = await browser.send(page, "verdict=approve")

    async def kept() -> bool:
        numbers = "SELECT number FROM approval_decisions WHERE request_id = :id"
        async with database.statement() as connection:
            found = await connection.scalars(text(numbers), {"id": request.request_id})
        return list(found) == [1]

    assert sent.status_code == 409
    assert f"It is for {role} to decide" in text_of(sent)
    await runs.until(kept, "one record, the run's own")
    await handle.cancel()


async def test_a_content_that_is_not_the_one_the_run_asked_about_is_not_decided(
    app: Starlette, database: Database, client: Client
) -> None:
    role = runs.token()
    ann = await an_editor(database, role)
    handle = await a_review(client, database, role)
    request = await asked(database, handle)
    changed = "UPDATE approval_requests SET content = 'Other.' WHERE request_id = :id"
    async with database.statement() as connection:
        await connection.execute(text(changed), {"id": request.request_id})
    browser, page = await opened(app, ann, request)

    sent = await browser.send(page, "verdict=approve")

    assert sent.status_code == 409
    assert "is not what the run has asked about" in text_of(sent)
    assert (await asked(database, handle)).status == "pending"
    await handle.cancel()
