"""Links, tokens and sessions: what lets somebody in, until when, and what is kept of it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from durable_agents.db import access, people
from durable_agents.db.engine import Database
from durable_agents.models.errors import NotFoundError
from durable_agents.models.people import Person
from tests.workflows.runs import token

OVER = timedelta(seconds=-1)


@pytest.fixture
async def person(database: Database) -> Person:
    async with database.statement() as connection:
        return await people.add_user(connection, f"a-{token().lower()}")


async def test_a_link_lets_in_once_also_when_two_come_at_the_same_moment(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        secret = await access.create_link(connection, person.user_id)

    async def use() -> Person | None:
        async with database.transaction() as connection:
            used = await access.use_link(connection, secret)
            await asyncio.sleep(0.05)  # the others come before this transaction ends
            return used

    came = await asyncio.gather(*(use() for _ in range(4)))

    assert sorted(one is not None for one in came) == [False, False, False, True]
    async with database.statement() as connection:
        assert await access.find_link(connection, secret) is None


async def test_a_link_that_was_only_looked_at_is_not_used_up(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        secret = await access.create_link(connection, person.user_id)

        seen = [await access.find_link(connection, secret) for _ in range(2)]

        assert seen == [person, person]
        assert await access.use_link(connection, secret) == person


async def test_a_link_that_is_over_or_was_replaced_lets_nobody_in(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        over = await access.create_link(connection, person.user_id, lasts=OVER)
        assert await access.use_link(connection, over) is None
        first = await access.create_link(connection, person.user_id)
        await access.create_link(connection, person.user_id)

        assert await access.use_link(connection, first) is None
        assert await access.find_link(connection, "made up") is None


async def test_a_link_lets_no_disabled_person_in(database: Database, person: Person) -> None:
    async with database.statement() as connection:
        secret = await access.create_link(connection, person.user_id)
        await people.set_disabled(connection, person.name, disabled=True)

        assert await access.find_link(connection, secret) is None
        assert await access.use_link(connection, secret) is None


async def test_a_token_acts_for_its_owner_until_it_is_revoked(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        secret = await access.create_token(connection, person.user_id, label="laptop")
        owner = await access.person_of_token(connection, secret)
        (shown,) = await access.list_tokens(connection, person.user_id)

        await access.revoke_token(connection, person.user_id, shown.token_id)

        assert owner == person
        assert await access.person_of_token(connection, secret) is None
        assert shown.label == "laptop"
        assert shown.last_used_at is not None


async def test_a_token_that_is_over_lets_nobody_in(database: Database, person: Person) -> None:
    async with database.statement() as connection:
        secret = await access.create_token(connection, person.user_id, lasts=OVER)

        assert await access.person_of_token(connection, secret) is None


async def test_nobody_revokes_the_token_of_somebody_else(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        other = await people.add_user(connection, f"b-{token().lower()}")
        await access.create_token(connection, person.user_id)
        (theirs,) = await access.list_tokens(connection, person.user_id)

        with pytest.raises(NotFoundError, match=f"no token {theirs.token_id} of this user"):
            await access.revoke_token(connection, other.user_id, theirs.token_id)


async def test_a_session_ends_by_time_by_signing_out_and_by_a_newer_epoch(
    database: Database, person: Person
) -> None:
    async with database.statement() as connection:
        over = await access.begin_session(connection, person, lasts=OVER)
        left = await access.begin_session(connection, person)
        await access.end_session(connection, left)
        stale = await access.begin_session(connection, person)
        others = await access.begin_session(
            connection, person.model_copy(update={"session_epoch": 1})
        )
        alive = await access.person_of_session(connection, stale)

        raised = await people.set_disabled(connection, person.name, disabled=False)

        assert alive == person
        assert raised.session_epoch == 1
        found = [await access.person_of_session(connection, one) for one in (over, left, stale)]
        assert found == [None, None, None]
        assert await access.person_of_session(connection, others) == raised


async def test_the_database_keeps_none_of_the_secrets(database: Database, person: Person) -> None:
    async with database.statement() as connection:
        secrets = [
            await access.create_link(connection, person.user_id),
            await access.create_token(connection, person.user_id),
            await access.begin_session(connection, person),
        ]

        kept = ""
        for table in ("one_time_links", "api_tokens", "sessions"):
            rows = await connection.execute(
                text(f"SELECT * FROM {table} WHERE user_id = :id"),  # noqa: S608 - our tables
                {"id": person.user_id},
            )
            kept += str(rows.all())

    assert all(access.digest_of_secret(secret) in kept for secret in secrets)
    assert not any(secret in kept for secret in secrets)
