"""Signing in: who is let in, and how many wrong passwords may be tried."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from durable_agents.db import people
from durable_agents.db.engine import Database
from durable_agents.db.sign_in import Limits, SignInFailure, counted_address, sign_in
from durable_agents.models.people import Person
from tests.workflows.runs import token

PASSWORD = "three quiet otters"
WRONG, TOO_MANY = SignInFailure.WRONG, SignInFailure.TOO_MANY
numbers = iter(range(1, 2**20))


@pytest.fixture
def address() -> str:
    """An address nobody has come from."""
    return str(ipaddress.ip_address("198.18.0.0") + next(numbers))


@pytest.fixture
async def person(database: Database) -> Person:
    async with database.statement() as connection:
        made = await people.add_user(connection, f"s-{token().lower()}")
        return await people.set_password(connection, made.name, PASSWORD)


@pytest.fixture
async def second_process(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def test_the_right_password_signs_in(
    database: Database, person: Person, address: str
) -> None:
    assert await sign_in(database, f" {person.name.upper()}", PASSWORD, address) == person


async def test_a_wrong_password_and_an_unknown_name_are_told_alike(
    database: Database, person: Person, address: str
) -> None:
    async with database.statement() as connection:
        nobody = await people.add_user(connection, f"n-{token().lower()}")
        await people.set_password(connection, nobody.name, PASSWORD)
        await people.set_disabled(connection, nobody.name, disabled=True)

    outcomes = [
        await sign_in(database, person.name, "not this one at all", address),
        await sign_in(database, "nobody-of-this-name", PASSWORD, address),
        await sign_in(database, nobody.name, PASSWORD, address),
        await sign_in(database, "\x00\udcff", "\x00\udcff", address),
    ]

    assert outcomes == [WRONG] * 4


async def test_after_five_wrong_passwords_the_right_one_does_not_help_in_any_process(
    database: Database, second_process: Database, person: Person, address: str
) -> None:
    failed = [await sign_in(database, person.name, "wrong", address) for _ in range(5)]

    here = await sign_in(database, person.name, PASSWORD, address)
    there = await sign_in(second_process, person.name, PASSWORD, address)
    elsewhere = await sign_in(database, person.name, PASSWORD, address + "1")

    assert failed == [WRONG] * 5
    assert (here, there) == (TOO_MANY, TOO_MANY)
    assert elsewhere == person


async def test_attempts_at_the_same_moment_do_not_get_past_the_limit(
    database: Database, person: Person, address: str
) -> None:
    tries = (sign_in(database, person.name, "wrong", address) for _ in range(12))

    outcomes = Counter(await asyncio.gather(*tries))

    assert outcomes[WRONG] <= 5
    assert outcomes[WRONG] + outcomes[TOO_MANY] == 12


async def test_many_names_from_one_address_are_limited_too(
    database: Database, person: Person, address: str
) -> None:
    few = Limits(address=3)
    for number in range(3):
        assert await sign_in(database, f"name-{number}", "wrong", address, few) == WRONG

    outcome = await sign_in(database, person.name, PASSWORD, address, few)

    assert outcome == TOO_MANY


async def test_one_name_from_many_addresses_is_limited_too(
    database: Database, person: Person
) -> None:
    few = Limits(name=3)
    for number in range(3):
        assert await sign_in(database, person.name, "wrong", f"10.9.8.{number}", few) == WRONG

    assert await sign_in(database, person.name, PASSWORD, "10.9.8.99", few) == TOO_MANY


async def test_signing_in_does_not_count_and_the_limit_passes(
    database: Database, person: Person, address: str
) -> None:
    for _ in range(7):
        assert await sign_in(database, person.name, PASSWORD, address) == person
    for _ in range(5):
        await sign_in(database, person.name, "wrong", address)
    before = await sign_in(database, person.name, PASSWORD, address)
    async with database.statement() as connection:
        later = "UPDATE sign_in_attempts SET at = at - interval '16 minutes' WHERE address = :it"
        await connection.execute(text(later), {"it": address})

    assert before == TOO_MANY
    assert await sign_in(database, person.name, PASSWORD, address) == person


def test_addresses_are_counted_by_household() -> None:
    assert counted_address("203.0.113.7") == "203.0.113.7"
    assert counted_address("::ffff:203.0.113.7") == "203.0.113.7"
    assert counted_address("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert counted_address("fe80::1%eth0") == "fe80::/64"
    assert counted_address("testclient") == "testclient"
