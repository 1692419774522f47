"""Claim, send, mark: with the real database, Apprise, and a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.notifications import NotificationActivities
from durable_agents.clients.notifications import Notifier
from durable_agents.db import notifications
from durable_agents.db.engine import Database
from durable_agents.models.errors import IdempotencyConflictError, ServiceUnavailableError
from durable_agents.models.notifications import NotifyInput, NotifyOutcome
from tests.clients.receiver import Receiver, receiver
from tests.workflows.runs import token
from workers.outbox import resend_uncertain

QUICK = timedelta(seconds=0.5)


@pytest.fixture
async def service() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


def request_for(key: str, body: str = "Task 1") -> NotifyInput:
    return NotifyInput(key=key, user_id="u-1", title=f"Done {key}", body=body)


async def notify(
    database: Database, urls: str, request: NotifyInput, *, resend: bool = False
) -> NotifyOutcome:
    """One attempt of the activity."""
    activities = NotificationActivities(
        database, Notifier(urls, timeout=QUICK), resend_uncertain=resend
    )
    return await ActivityEnvironment().run(activities.notify, request)


async def rows(database: Database, key: str) -> list[tuple[str, str]]:
    statement = text(
        "SELECT status, error FROM notifications WHERE key LIKE :key ORDER BY notification_id"
    )
    async with database.statement() as connection:
        found = await connection.execute(statement, {"key": f"{key}%"})
        return [(row.status, row.error) for row in found]


async def leave_behind(database: Database, service: Receiver, request: NotifyInput) -> None:
    """Claim, as an attempt that dies before it marks does."""
    (target,) = Notifier(service.url()).targets
    keyed = request.model_copy(update={"key": f"{request.key}@{target.name}"})
    async with database.transaction() as connection:
        await notifications.claim(connection, keyed, run_id="r", resend_uncertain=False)


async def test_it_is_sent_once_whatever_is_delivered_twice(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())

    outcomes = [await notify(database, service.url(), request) for _ in range(3)]

    assert {outcome.status for outcome in outcomes} == {"sent"}
    assert service.titles() == [request.title]
    assert await rows(database, request.key) == [("sent", "")]


async def test_two_attempts_at_once_send_once(database: Database, service: Receiver) -> None:
    request = request_for(token())

    outcomes = await asyncio.gather(*(notify(database, service.url(), request) for _ in range(4)))

    assert len(service.messages) == 1
    assert "sent" in {outcome.status for outcome in outcomes}
    assert await rows(database, request.key) == [("sent", "")]


async def test_without_an_address_it_is_kept(database: Database) -> None:
    request = request_for(token())

    outcomes = [await notify(database, "", request) for _ in range(2)]

    assert {outcome.status for outcome in outcomes} == {"kept"}
    assert await rows(database, request.key) == [("pending", "")]


async def test_what_was_refused_is_tried_again(database: Database, service: Receiver) -> None:
    request = request_for(token())
    service.statuses = [503, 200]

    with pytest.raises(ServiceUnavailableError, match="JSON"):
        await notify(database, service.url(), request)
    between = await rows(database, request.key)
    outcome = await notify(database, service.url(), request)

    assert between[0][0] == "failed"
    assert outcome.status == "sent"
    assert len(service.messages) == 2
    assert await rows(database, request.key) == [("sent", "")]


async def test_a_service_that_took_it_is_not_asked_again_when_another_did_not(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    async with receiver() as other:
        other.statuses = [500, 200]
        urls = f"{service.url()},{other.url()}"

        with pytest.raises(ServiceUnavailableError):
            await notify(database, urls, request)
        outcome = await notify(database, urls, request)

        assert (len(service.messages), len(other.messages)) == (1, 2)
    assert outcome.status == "sent"


async def test_a_claim_without_its_mark_is_uncertain_and_never_sent_again(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    await leave_behind(database, service, request)

    outcomes = [await notify(database, service.url(), request) for _ in range(2)]

    assert {outcome.status for outcome in outcomes} == {"uncertain"}
    assert outcomes[0].error
    assert service.messages == []
    assert (await rows(database, request.key))[0][0] == "uncertain"


async def test_a_claim_without_its_mark_is_sent_again_by_setting(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    await leave_behind(database, service, request)

    outcome = await notify(database, service.url(), request, resend=True)

    assert outcome.status == "sent"
    assert service.titles() == [request.title]


async def test_silence_is_uncertain_and_not_broken_by_trying_again(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    service.silent = True

    outcomes = [await notify(database, service.url(), request) for _ in range(2)]

    assert [outcome.status for outcome in outcomes] == ["uncertain", "uncertain"]
    assert len(service.messages) == 1


async def test_the_same_key_cannot_say_something_else(
    database: Database, service: Receiver
) -> None:
    key = token()
    await notify(database, service.url(), request_for(key))

    with pytest.raises(IdempotencyConflictError):
        await notify(database, service.url(), request_for(key, body="Task 2"))


async def test_uncertain_ones_are_counted_and_sent_again_when_workers_start(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    await leave_behind(database, service, request)
    async with database.statement() as connection:
        before = await notifications.count(connection)
    await notify(database, service.url(), request)  # finds the claim, and calls it uncertain

    async with database.statement() as connection:
        uncertain = (await notifications.count(connection)).uncertain
    notifier = Notifier(service.url(), timeout=QUICK)
    sent = [await resend_uncertain(database, notifier) for _ in range(2)]

    assert uncertain == before.uncertain + 1
    assert sent == [1, 0]
    assert service.titles() == [request.title]
    assert await rows(database, request.key) == [("sent", "")]


async def test_a_claim_that_was_left_long_ago_counts_as_uncertain(
    database: Database, service: Receiver
) -> None:
    request = request_for(token())
    await leave_behind(database, service, request)
    async with database.statement() as connection:
        fresh = (await notifications.count(connection)).uncertain
        await connection.execute(
            text(
                "UPDATE notifications SET claimed_at = now() - interval '6 minutes' "
                "WHERE key LIKE :key"
            ),
            {"key": f"{request.key}%"},
        )

        old = (await notifications.count(connection)).uncertain

    assert old == fresh + 1
    await resend_uncertain(database, Notifier(service.url(), timeout=QUICK))
    assert service.titles() == [request.title]
