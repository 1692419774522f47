"""People: their names, roles and passwords."""

import time

import pytest
from sqlalchemy import select

from durable_agents.db import access, passwords, people
from durable_agents.db.engine import Database
from durable_agents.db.people_tables import User
from durable_agents.models.errors import InputError, NotFoundError
from tests.db.databases import migrated_database
from tests.workflows.runs import token

PASSWORD = "three quiet otters"


def name_of_somebody() -> str:
    return f"p-{token().lower()}"


async def test_somebody_who_was_added_is_found_whatever_the_capitals(database: Database) -> None:
    name = name_of_somebody()

    async with database.statement() as connection:
        made = await people.add_user(connection, f" {name.upper()} ", display_name="Ada  L.")
        found = await people.get_user(connection, name.title())

    assert found == made
    assert (made.name, made.display_name, made.roles) == (name, "Ada L.", ("reviewer",))
    assert not made.has_password


async def test_a_name_is_given_once(database: Database) -> None:
    name = name_of_somebody()

    async with database.statement() as connection:
        await people.add_user(connection, name)
        with pytest.raises(InputError, match=f"There is a user {name} already"):
            await people.add_user(connection, name.upper())


@pytest.mark.parametrize("name", ["", "-x", "a b", "ä", "x" * 65, "a\x00b", "<b>"])
async def test_a_name_that_does_not_fit_is_refused(database: Database, name: str) -> None:
    async with database.statement() as connection:
        with pytest.raises(InputError, match="is not a usable name"):
            await people.add_user(connection, name)


async def test_a_name_is_never_a_role_nor_a_role_a_name(database: Database) -> None:
    name, role = name_of_somebody(), f"r-{token().lower()}"

    async with database.statement() as connection:
        await people.add_user(connection, name, roles=[role])
        with pytest.raises(InputError, match="name of a role"):
            await people.add_user(connection, role)
        with pytest.raises(InputError, match="name of a role"):
            await people.add_user(connection, "admin")
        with pytest.raises(InputError, match=f"{name} is the name of a user"):
            await people.set_roles(connection, name, [name])


async def test_a_request_is_for_a_person_or_a_role_or_any_reviewer(database: Database) -> None:
    async with database.statement() as connection:
        person = await people.add_user(connection, name_of_somebody(), roles=["lawyer"])

    assert person.is_meant_by("lawyer")
    assert person.is_meant_by(person.name)
    assert not person.is_meant_by("")
    assert person.model_copy(update={"roles": ("reviewer",)}).is_meant_by("")


async def test_a_new_password_ends_the_sessions_and_is_kept_as_argon2id(
    database: Database,
) -> None:
    name = name_of_somebody()
    async with database.statement() as connection:
        before = await people.add_user(connection, name)
        session = await access.begin_session(connection, before)

        after = await people.set_password(connection, name, PASSWORD)

        kept = await connection.scalar(select(User.password_hash).where(User.name == name))
        assert await access.person_of_session(connection, session) is None
    assert after.has_password
    assert str(kept).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in str(kept)


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaaaaa", "ottoottootto"])
async def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(InputError, match="This password is too"):
        await passwords.hash_password(password, name="otto")


async def test_a_name_nobody_has_takes_as_long_as_a_wrong_password() -> None:
    kept = await passwords.hash_password(PASSWORD)
    await passwords.verify_password("", "warm up")

    async def best_of(hashed: str) -> float:
        took: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            assert not await passwords.verify_password(hashed, "another password")
            took.append(time.perf_counter() - began)
        return min(took)

    nobody, wrong = await best_of(""), await best_of(kept)

    assert await passwords.verify_password(kept, PASSWORD)
    assert 0.5 < nobody / wrong < 2


async def test_a_disabled_person_is_out_at_once_and_comes_back_without_old_sessions(
    database: Database,
) -> None:
    name = name_of_somebody()
    async with database.statement() as connection:
        person = await people.add_user(connection, name)
        session = await access.begin_session(connection, person)
        secret = await access.create_token(connection, person.user_id)

        await people.set_disabled(connection, name, disabled=True)

        assert await access.person_of_session(connection, session) is None
        assert await access.person_of_token(connection, secret) is None
        await people.set_disabled(connection, name, disabled=False)
        assert await access.person_of_session(connection, session) is None
        assert await access.person_of_token(connection, secret) is not None


async def test_an_unknown_name_is_said_so(database: Database) -> None:
    async with database.statement() as connection:
        with pytest.raises(NotFoundError, match="There is no user 'nobody-here'"):
            await people.set_roles(connection, "nobody-here", ["reviewer"])


async def test_a_first_reviewer_is_needed_until_one_has_come(database_url: str) -> None:
    async with (
        migrated_database(database_url) as fresh,
        fresh.statement() as connection,
    ):
        empty = await people.nobody_can_review(connection)
        made = await people.add_user(connection, "otto")
        invited = await people.nobody_can_review(connection)
        link = await access.create_link(connection, made.user_id)
        await access.use_link(connection, link)
        came = await people.nobody_can_review(connection)

    assert (empty, invited, came) == (True, True, False)
